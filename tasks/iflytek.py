"""Kinds of apps from their long descriptions in an app store (CLUE).

train 12,133, dev 2,599, test 2,600 rows. Accuracy. Leaderboard file `iflytek_predict.json`. A row, made up:

    {"label": "88", "label_des": "菜谱", "sentence": "每天三道家常菜，图文并茂，跟着学就会。"}

Oddities: descriptions have about 290 characters, so most are cut at 128 tokens; a raw U+2028 stands inside some lines;
6.5 % of the dev rows also stand in train; some sentences have two labels.
"""

from tasks.families.classification import TextClassification
from tasks.families.recipes import CLUE_BERT4KERAS

NAMES = (
    "打车", "地图导航", "免费WIFI", "租车", "同城服务", "快递物流", "婚庆", "家政", "公共交通", "政务", "社区服务",
    "薅羊毛", "魔幻", "仙侠", "卡牌", "飞行空战", "射击游戏", "休闲益智", "动作类", "体育竞技", "棋牌中心",
    "经营养成", "策略", "MOBA", "辅助工具", "约会社交", "即时通讯", "工作社交", "论坛圈子", "婚恋社交", "情侣社交",
    "社交工具", "生活社交", "微博博客", "新闻", "漫画", "小说", "技术", "教辅", "问答交流", "搞笑", "杂志", "百科",
    "影视娱乐", "求职", "兼职", "视频", "短视频", "音乐", "直播", "电台", "K歌", "成人", "中小学", "职考", "公务员",
    "英语", "视频教育", "高等教育", "成人教育", "艺术", "语言(非英语)", "旅游资讯", "综合预定", "民航", "铁路",
    "酒店", "行程管理", "民宿短租", "出国", "工具", "亲子儿童", "母婴", "驾校", "违章", "汽车咨询", "汽车交易",
    "日常养车", "行车辅助", "租房", "买房", "装修家居", "电子产品", "问诊挂号", "养生保健", "医疗服务", "减肥瘦身",
    "美妆美业", "菜谱", "餐饮店", "体育咨讯", "运动健身", "支付", "保险", "股票", "借贷", "理财", "彩票", "记账",
    "银行", "美颜", "影像剪辑", "摄影修图", "相机", "绘画", "二手", "电商", "团购", "外卖", "电影票务", "社区超市",
    "购物咨询", "笔记", "办公", "日程管理", "女性", "经营", "收款", "其他",
)  # fmt: skip
LABELS = tuple(str(number) for number in range(len(NAMES)))

TASK = TextClassification(
    name="iflytek",
    title="App descriptions, 119 kinds",
    homepage="https://github.com/CLUEbenchmark/CLUE",
    texts=("sentence",),
    labels=LABELS,
    label_names=dict(zip(LABELS, NAMES, strict=True)),
    official={
        "dev.json": "1e129ad7973ecb8d31e0e633e57d5c7d680577c6faacaf25ce0cbd953ca96698",
        "test.json": "d0fff6d2d2da33acd2705702db6e6703b3530e2b8195351c4a5f089a3ca814d1",
    },
    counts={"train": 12_133, "dev": 2_599, "test": 2_600},
    submissions={"test": "iflytek_predict.json"},
    recipes={"small": {"learning_rate": 1e-3, "epochs": 6}, "base": {"learning_rate": 2e-5}},
    named_recipes={"clue-bert4keras": CLUE_BERT4KERAS},
    hub="iflytek",
)
