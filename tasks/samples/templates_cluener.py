"""Sentences with people, places, firms and works marked in them; names are put together, so dev has new ones."""

from __future__ import annotations

from functools import partial

from tasks.samples.grammar import Dice, Files, Filled, Lexicon, Record, Unrepeated, draw, lines, numbered
from tasks.samples.names import NAMES

TYPES = (
    "address", "book", "company", "game", "government", "movie", "name", "organization", "position", "scene",
)  # fmt: skip

WORDS = NAMES | {
    "name": [
        "{surname}{given}", "{surname}{given}", "{surname}{given}", "{surname}{given_one}",
        "{foreign}·{foreign2}", "{foreign}",
    ],
    "given_one": "磊 芳 涛 敏 峰 岚 斌 颖 宁 琪 钧 莎",
    "foreign": "卡尔森 安德烈 马库斯 费尔南多 伊莲娜 罗德里格 索菲亚 特伦斯 哈桑 贝尔蒙特 尤利娅 奥马尔",
    "position": ["{boss}", "{official}", "{sporting}", "{artist}", "{scholar}"],
    "boss": "总经理 董事长 财务主管 销售总监 创始人 {rank}工程师 首席分析师 区域经理 {rank}设计师 法务顾问 {rank}总裁",
    "official": "局长 副局长 市长 发言人 秘书长 检察官 {rank}专员 审判长 处长 {rank}主任",
    "sporting": "主教练 队长 前锋 门将 助理教练 领队 后卫 {rank}队医",
    "artist": "导演 演员 制片人 经纪人 编剧 摄影师 歌手 配音演员",
    "scholar": "教授 研究员 记者 主编 副教授 院长 博士 讲师 {rank}编辑",
    "rank": "副 首席 执行 代理 高级 前任",
    "province": "江苏 云南 四川 河北 福建 甘肃 湖南 浙江",
    "district": "临港区 东湖区 北关区 新桥镇 柳河县 青塘镇 南苑街道 双溪乡",
    "street": "梧桐路 解放街 滨河大道 望江路 石板巷 学府路 十里街",
    "address": [
        "{city}市", "{city}", "{province}", "{city}市{district}", "{province}省{city}市",
        "{street}{door}号", "{district}",
        "{country}", "{city}市{street}", "{city}火车站",
    ],
    "door": "8 16 27 105 233 1号楼3",
    "trade": "电子 医药 置业 物流 文化传媒 食品 重工 能源 网络 纺织",
    "company": [
        "{brand}{trade}", "{brand}集团", "{brand}{trade}有限公司", "{city}{brand}股份", "{brand}银行", "{brand}证券",
        "{brand}{trade}集团", "{city}{trade}公司", "{latin}公司", "{brand}保险",
    ],
    "latin": "NOVIX Kelor Bluefin T3 Ardent Mira-Tech GreenOak Z9",
    "organ": "税务局 教育局 公安局 法院 检察院 水务局 规划局 市场监管局 人社局 气象局",
    "government": ["{local}", "{local}", "{national}"],
    "local": [
        "{city}市{organ}", "{city}{organ}", "{city}市政府", "{province}省{organ}",
        "{city}市公安局交警支队", "{city}市委", "{organ}", "{district}政府",
    ],
    "national": ["{country}外交部", "{country}国防部", "{country}议会", "{country}财政部", "{country}最高法院"],
    "organization": ["{team}", "{institute}"],
    "team": [
        "{city}{club}", "{city}{mascot}{club}", "{mascot}车队", "{city}{mascot}", "{country}男篮", "{country}国家队",
        "{mascot}{club}", "{city}大学女排", "FC{mascot}",
    ],
    "institute": [
        "{city}大学", "{field}协会", "{city}{field}学会", "{city}商会", "{city}作家协会",
        "{field}研究所", "{city}第一中学",
        "{country}{field}协会", "{city}师范学院", "中国{field}学会",
    ],
    "club": "队 俱乐部 女排 男篮 联队 足球队",
    "mascot": "猛虎 飞鱼 雪豹 红隼 蓝鲸 雷霆 野马 黑曜",
    "field": "摄影 登山 桥牌 围棋 天文 钢铁工业 民俗 纺织工程",
    "scene": [
        "{scenic}山", "{scenic}湖", "{scenic}古镇", "{city}博物馆", "{scenic}寺", "{city}{scenic}公园",
        "{scenic}峡谷", "{scenic}海滩",
        "{scenic}古城墙", "{city}植物园", "{scenic}温泉", "{scenic}森林公园",
    ],
    "scenic": "卧龙 碧螺 望仙 白石 落霞 九渡 云顶 鹿鸣 月牙 紫阳 听涛 千佛",
    "noun": "河流 夏天 灯火 远山 候鸟 旧城 雨季 海岸 麦田 影子 尘埃 月光",
    "link": "尽头 之外 回声 的秘密 与少年 三部曲 往事 简史 来信 之夜",
    "work": ["{noun}{link}", "{noun}与{noun2}", "最后的{noun}", "没有{noun}的{noun2}", "{noun}{digit}"],
    "title": ["《{work}》"],
    "novel": ["《{work}》", "《{work}》", "《{noun}笔记》", "《{subject}入门》", "《{noun}诗选》"],
    "subject": "经济学 摄影 木工 逻辑学 园艺 古琴",
    "book": ["{novel}"],
    "movie": ["{title}", "{title}", "{title}", "《{noun}特攻队》", "《追凶{digit}天》"],
    "epic": "星尘 龙焰 深渊 机甲 王座 迷雾 极速 荒野 银河 幻想",
    "kind": "纪元 大陆 传说 战记 前线 冒险 物语 竞速 围城 远征",
    "game": [
        "《{epic}{kind}》", "{epic}{kind}", "{epic}{kind}{roman}", "《{epic}{kind}OL》", "{code}",
        "《{epic}{kind}{roman}》", "{epic}{kind}Online",
    ],
    "roman": "2 3 4 Ⅱ X 2048",
    "code": "SkyForge3 DOTX CSM-Online KOF2026 NBX PixelWar",
    "managing": ["《{company}管理之道》", "《我在{company}的日子》", "《走近{company}》"],
    "time": "昨天 日前 3月12日 上周五 2019年 近日 今天上午 去年底",
}  # fmt: skip

TEMPLATES = """
    {time}，{government}{official}{name}接受了采访。
    {name}出任{company}{boss}，任期三年。
    {company}{boss}{name}表示，今年销量有望翻番。
    {company}与{company2}签署合作协议，共同投资{digit}亿元。
    {company}在{address}的工厂{time}停产。
    {time}，{local}对{company}立案调查。
    {name}执导的{movie}将于下月上映，{name2}担任{artist}。
    {movie}首映礼上，{artist}{name}谈起拍摄的艰辛。
    看完{movie}，我最喜欢的还是{name}演的那个角色。
    {name}凭借{movie}获得最佳新人奖。
    影片{movie}在{address}取景，票房已破{digit}亿。
    {movie}的续集定名{movie2}，仍由{name}主演。
    {name}的新书{book}由出版社推出，首印{digit}万册。
    作家{name}在{book}里写到了故乡{address}。
    我在图书馆借了一本{book}，作者是{name}。
    {book}第{digit}章讲的正是{scene}的来历。
    {name}读完{book}，一夜没有合眼。
    {scholar}{name}推荐大家读一读{book}和{book2}。
    {book}再版，{name}重新写了序言。
    {institute}{scholar}{name}主编的{book}出版了。
    {game}新版本上线，玩家可以组队挑战副本。
    {company}宣布旗下游戏{game}开始公测。
    {name}在{game}里打到了全服第一。
    {game}和{game2}哪个更好玩？
    玩家投诉{game}充值不到账，{company}尚未回应。
    {time}，{company}公布了网游{game}的首个资料片
    {game}的画面比{game2}强，就是耗电。
    孩子沉迷{game}，{name}急得给客服打电话。
    {team}以3比1战胜{team2}，{name}独中两元。
    {team}{sporting}{name}赛后说，裁判的判罚很公正。
    {time}，{institute}在{address}举行年会。
    {name}加盟{team}，成为球队新{sporting}。
    {team}客场对阵{team2}，{name}因伤缺席。
    {institute}{name}{scholar}的研究引起了关注。
    去{address}玩，一定要看看{scene}。
    {scene}位于{address}，门票{digit}元。
    从{scene}到{scene2}，坐车只要二十分钟。
    游客{name}在{scene}迷路，{local}组织了搜救。
    周末我们去了{scene}，人多得走不动。
    {scene}下月起闭园整修，由{company}施工。
    {local}发布通知，要求{address}居民做好防汛准备。
    {local}驳回了{company}的上诉。
    {government}{official}{name}到{address}调研。
    {address}发生一起车祸，{local}正在处理。
    {local}与{institute}联合举办了讲座。
    {name}，{company}{boss}，毕业于{institute}。
    据{company}{boss}介绍，项目选址在{address}。
    {address}的房价又涨了，{company}一周卖出{digit}套房。
    {artist}{name}和{scholar}{name2}一起出席了活动。
    “我从来没去过{address}。”{name}对{position}说。
    {name}和{name2}是{team}的老队友。
    住在{address}的{name}养了{digit}只猫。
    {company}前{boss}{name}涉嫌受贿被{local}带走。
    {name}曾在{company}和{company2}任{boss}。
    {time}在{address}见到{name}，他正在写{book}。
    {movie}改编自{name}的小说{book}。
    由{game}改编的{movie}口碑不佳。
    {team}主场设在{address}，{name}是那里的{sporting}。
    {name}带着学生游览{scene}，{scholar}{name2}担任讲解。
    {company}赞助了{team}本赛季的比赛。
    {scene}旁边新开了一家{company}的门店。
    {name}：{company}不会退出{address}市场
    {country}{official}{name}抵达{address}访问
    """

NESTED = """
    {name}写的{managing}讲了不少公司内幕。
    {managing}的作者{name}做过{scholar}。
    """
"""A book whose title holds a company: no flat tagging can express both. The official train has one such row."""

NESTED_ROWS = {"train.json": 5, "dev.json": 1, "test.json": 0}
ROWS = {"train.json": 560, "dev.json": 180, "test.json": 80}
LONGEST = 50
"""Characters; no official text is longer."""
MISSED = 0.02
"""How often the annotator overlooked an entity."""

KINDS = {name: name for name in TYPES} | {
    "managing": "book", "country": "address", "team": "organization", "institute": "organization",
    "local": "government", "national": "government",
    "boss": "position", "official": "position", "sporting": "position", "artist": "position", "scholar": "position",
}  # fmt: skip
"""Word list -> type of what it gives."""


def entities(filled: Filled, dice: Dice) -> list[tuple[str, int, int]]:
    """(type, start, end) of the text, characters, half open, in order; the outermost ones.

    What stands inside an entity (the country in a ministry) is none of its own, but for the firm in a `managing` book.
    """
    found: list[tuple[str, int, int]] = []
    covered = 0
    for name, start, end in filled.marks:
        if name == "managing":
            found.append(("book", start, end))
        elif name in KINDS and start >= covered:
            found.append((KINDS[name], start, end))
            covered = end
    if len(found) > 1 and dice.chance(MISSED):
        found.remove(dice.pick(found))
    return found


def row(filled: Filled, dice: Dice) -> Record:
    """The official form: type -> entity -> list of [start, end], end inclusive."""
    label: dict[str, dict[str, list[list[int]]]] = {}
    for kind, start, end in entities(filled, dice):
        label.setdefault(kind, {}).setdefault(filled.text[start:end], []).append([start, end - 1])
    return {"text": filled.text, "label": label}


def sentence(dice: Dice, split: str, templates: str) -> Filled:
    """One sentence of at most `LONGEST` characters."""
    lexicon = Lexicon(WORDS)
    while True:
        filled = lexicon.fill(draw(dice, lines(templates), split), dice, split)
        if len(filled.text) <= LONGEST:
            return filled


def joined(dice: Dice, split: str) -> Filled:
    """A sentence, now and then two with a comma between them, as the official texts are cut out of longer ones."""
    first = sentence(dice, split, TEMPLATES)
    if not dice.chance(0.25):
        return first
    second = sentence(dice, split, TEMPLATES)
    start = first.text.rstrip("。") + "，"
    if len(start) + len(second.text) > LONGEST or not first.text.endswith("。"):
        return first
    moved = tuple((name, begin + len(start), end + len(start)) for name, begin, end in second.marks)
    return Filled(start + second.text, first.marks + moved)


def generate(dice: Dice) -> Files:
    """The three official files; dev and test hold names and some templates that train has not."""
    unrepeated, files = Unrepeated(), {}
    for file, amount in ROWS.items():
        split = file.split(".")[0]
        nested = [
            unrepeated.take(partial(sentence, dice, "train", NESTED), lambda filled: filled.text)
            for _ in range(NESTED_ROWS[file])
        ]
        flat = [
            unrepeated.take(partial(joined, dice, split), lambda filled: filled.text)
            for _ in range(amount - len(nested))
        ]
        files[file] = dice.shuffled([row(filled, dice) for filled in nested + flat])
    files["test.json"] = numbered(files["test.json"])
    return files
