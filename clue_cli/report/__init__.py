"""`clue report`: one page about one run, or about several beside each other.

answers      what gold and prediction of a line say, whatever the task: labels, elements of a list, pieces of a text
intervals    precision, recall and F1 by label with 95 % intervals
calibration  confidence against being right
confusion    which label was taken for which
slices       the figure on parts of the split
errors       the items that went wrong, with marks in their texts
facts        the record as tables
curves       loss and figures as they came
svg, charts  plots as SVG that is part of the page
content      all of it gathered
page         written down
"""
