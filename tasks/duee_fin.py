"""DuEE-fin: events of 13 types in whole financial news and announcements (LIC2021), without offsets.

Source: Han et al., "DuEE-Fin: A Large-Scale Dataset for Document-Level Event Extraction", NLPCC 2022. About 7,000
documents of train, 1,171 of dev. A row, made up:

    {"id": "1", "title": "云帆拟赴港上市", "text": "...", "event_list": [{"event_type": "公司上市", "trigger": "上市",
     "arguments": [{"role": "上市公司", "argument": "云帆"}, {"role": "环节", "argument": "筹备上市"}]}]}

A document without events has no `event_list`. Title and text are read together (joined by a newline), since triggers
and arguments may stand in the title alone. Words are located near each other (`tasks.families.event_forms.locate`);
of the rows at hand none is missing from its document. `环节` of `公司上市` is one of four values and no piece of text:
it is marked on the trigger. Half of the documents have over 512 characters: they become windows.

Metric: `duee_fin:greedy`, the task's rule of matching events; its open points are stated there. With the head `crf`
all arguments of one event type are one event.
"""

from tasks.families.declaration import OWN_FILES
from tasks.families.event_schema import roles_of
from tasks.families.events import Events

TASK = Events(
    name="duee_fin",
    version=2,
    title="DuEE-fin: events in financial documents, 13 types, 92 roles",
    homepage="https://aistudio.baidu.com/competition/detail/65",
    texts=("text",),
    optional_texts=("title",),
    schema=roles_of("""
    解除质押: 质押方 披露时间 质权方 质押物 质押股票/股份数量 事件时间 质押物所属公司 质押物占总股比 质押物占持股比
    股份回购: 回购方 披露时间 回购股份数量 每股交易价格 占公司总股本比例 交易金额 回购完成时间
    股东减持: 股票简称 披露时间 交易股票/股份数量 每股交易价格 交易金额 交易完成时间 减持方
        减持部分占所持比例 减持部分占总股本比例
    亏损: 公司名称 披露时间 财报周期 净亏损 亏损变化
    中标: 中标公司 中标标的 中标金额 招标方 中标日期 披露日期
    高管变动: 高管姓名 任职公司 高管职位 事件时间 变动类型 披露日期 变动后职位 变动后公司名称
    企业破产: 破产公司 披露时间 债务规模 破产时间 债权人
    股东增持: 股票简称 披露时间 交易股票/股份数量 每股交易价格 交易金额 交易完成时间 增持方
        增持部分占所持比例 增持部分占总股本比例
    被约谈: 公司名称 披露时间 被约谈时间 约谈机构
    企业收购: 收购方 披露时间 被收购方 收购标的 交易金额 收购完成时间
    公司上市: 上市公司 证券代码 环节 披露时间 发行价格 事件时间 市值 募资金额
    企业融资: 投资方 披露时间 被投资方 融资金额 融资轮次 事件时间 领投方
    质押: 质押方 披露时间 质权方 质押物 质押股票/股份数量 事件时间 质押物占总股比 质押物所属公司 质押物占持股比
    """),
    enumerated={"公司上市": {"环节": ("筹备上市", "暂停上市", "正式上市", "终止上市")}},
    offsets=False,
    optional_gold=True,
    flat_grouped=True,
    files={
        "train": ("duee_fin_train.json", *OWN_FILES["train"]),
        "dev": ("duee_fin_dev.json", *OWN_FILES["dev"]),
        "test": ("duee_fin_test2.json", "duee_fin_test1.json", *OWN_FILES["test"]),
    },
    counts={"dev": 1_171},
    official={"duee_fin_dev.json": "ffc6dfb85f821e001d6d07437bde1000ce282aafc657cdf339e078e8232d0061"},
    metrics={"duee_fin:greedy": "tasks.metrics.events:DueeFinGreedy"},
    submissions={"test": "duee_fin.json"},
    recipe={"max_length": 512, "overlap": 128, "batch_size": 16},
    # Documents are long and few: with 4 a step those at hand gave 9.9 after two epochs, with 16 nothing after one.
    recipes={"small": {"batch_size": 4}},
)
