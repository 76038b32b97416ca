"""Sentences with relations between the names in them; names are put together, so dev has new ones.

Below each template stand its relations, `predicate subject object slot=object ...`, in names of slots of the template.
Some sentences name a thing twice, some hold an object inside the subject, some put the object first. Every predicate
of dev has a template that train knows.
"""

from __future__ import annotations

from functools import partial

from tasks.duie import TASK
from tasks.samples.grammar import Dice, Files, Filled, Lexicon, Record, Unrepeated, draw, lines
from tasks.samples.names import NAMES

WORDS = NAMES | {
    "actor": ["{person}", "{person}", "{foreign}", "{surname}{given_one}"],
    "given_one": "磊 芳 涛 敏 峰 岚 斌 颖 宁 琪 钧 莎",
    "foreign": ["{first}·{last}"],
    "first": "卡尔森 安德烈 马库斯 伊莲娜 罗德里格 索菲亚 特伦斯 尤利娅",
    "last": "贝尔蒙特 费尔南多 哈桑 奥马尔 温特斯 洛伦佐 马林斯基 德拉科",
    "noun": "河流 夏天 灯火 远山 候鸟 旧城 雨季 海岸 麦田 影子 尘埃 月光",
    "link": "尽头 之外 回声 的秘密 与少年 三部曲 往事 简史 来信 之夜",
    "film": ["{noun}{link}", "{noun}与{noun2}", "最后的{noun}", "没有{noun}的{noun2}", "{noun}{digit}"],
    "song": ["{noun}的{noun2}", "{noun}吹过", "听见{noun}", "{noun}不眠", "写给{noun}"],
    "album": ["{noun}时代", "{noun}手记", "第{digit}个{noun}"],
    "show": ["{noun}大会", "{city}夜话", "我和{noun}有约", "最强{noun}"],
    "role": ["{nick}", "{surname}{title_of}", "{person}"],
    "nick": "阿凤 小豆子 老九 铁蛋 三姑娘 白狐 石头 青禾",
    "title_of": "队长 掌柜 将军 医生 先生 老师",
    "studio": ["{brand}影业", "{brand}文化传媒", "{city}{brand}影视公司"],
    "trade": "电子 医药 置业 物流 食品 重工 能源 网络 纺织",
    "firm": ["{brand}{trade}有限公司", "{brand}集团", "{city}{brand}{trade}有限公司"],
    "local_firm": ["{brand}{trade}有限公司", "{brand}酒业股份有限公司"],
    "school": ["{city}大学", "{city}师范学院", "{city}理工大学", "{country}皇家音乐学院"],
    "day": ["{year}年{month}月{digit_day}日", "{month}月{digit_day}日", "{year}年"],
    "year": "1986 1993 1998 2002 2007 2011 2014 2016 2018 2019",
    "month": "1 2 3 4 5 6 7 8 9 10 11 12",
    "digit_day": "2 4 7 9 11 14 18 21 23 26 28",
    "money": ["{digit}亿元", "{digit}00万元", "{digit}.5亿"],
    "prize": ["{mascot}奖最佳男主角", "{mascot}奖最佳女配角", "{mascot}电影节评委会大奖", "{mascot}音乐奖年度新人"],
    "mascot": "金帆 白鹭 银杏 星河 飞鱼 黑曜 长虹 青藤",
    "area": ["{country}", "{country}", "{city}"],
    "height": ["{year}米", "{digit}00米"],
    "hill": ["{scenic}山", "{scenic}峰"],
    "lake": ["{scenic}湖公园", "{scenic}古镇", "{city}博物馆"],
    "scenic": "卧龙 碧螺 望仙 白石 落霞 九渡 云顶 鹿鸣 月牙 紫阳 听涛 千佛",
    "people": ["{digit}万", "{digit}.6万人", "{digit}00万"],
    "tongue": ["{country}语", "{country}语"],
    "dynasty": "唐朝 宋代 明朝 清朝 东汉 北魏",
    "style": ["{noun}居士", "{scenic}散人", "{scenic}先生"],
    "boss": "总经理 财务主管 销售总监 首席分析师",
}  # fmt: skip

TEMPLATES = """
    电影《{film}》由{actor}编剧并导演，{actor2}领衔主演
        | 编剧 film actor; 导演 film actor; 主演 film actor2
    《{film}》改编自{actor}的小说《{film2}》，制片人是{actor2}
        | 改编自 film film2; 作者 film2 actor; 制片人 film actor2
    {studio}和{studio2}联合出品了《{film}》，《{film}》的主题曲是《{song}》
        | 出品公司 film studio; 出品公司 film studio2; 主题曲 film song
    《{film}》是由{actor}执导的电影，{actor2}、{actor3}主演
        | 导演 film actor; 主演 film actor2; 主演 film actor3
    《{film}》于{day}登陆{area}院线，{day2}又在{area2}公映
        | 上映时间 film day inArea=area; 上映时间 film day2 inArea=area2
    《{film}》在{area}拿下{money}票房，导演{actor}很满意
        | 票房 film money inArea=area; 导演 film actor
    {actor}在《{film}》里饰演{role}，又在《{film2}》里饰演{role2}
        | 饰演 actor role inWork=film; 饰演 actor role2 inWork=film2
    {actor}主演的《{film}》由{studio}出品
        | 主演 film actor; 出品公司 film studio
    动画片《{film}》里的{role}由{actor}配音
        | 配音 actor role inWork=film
    第{digit}届{mascot}电影节上，{actor}凭《{film}》夺得{prize}
        | 获奖 actor prize inWork=film period=digit
    {day}，{actor}拿到了{prize}，{actor}的父亲{actor2}也到了现场
        | 获奖 actor prize onDate=day; 父亲 actor actor2
    影片《{film}》{day}在{area}上映，首周票房{money}
        | 上映时间 film day inArea=area; 票房 film money
    歌手{actor}推出新歌《{song}》，词曲都由{actor2}完成
        | 歌手 song actor; 作词 song actor2; 作曲 song actor2
    专辑《{album}》收有《{song}》和《{song2}》两首歌
        | 所属专辑 song album; 所属专辑 song2 album
    综艺《{show}》由{actor}主持，本期嘉宾是{actor2}和{actor3}
        | 主持人 show actor; 嘉宾 show actor2; 嘉宾 show actor3
    {actor}在《{film}》中饰演{role}
        | 饰演 actor role inWork=film
    小说《{film}》的作者是{actor}，主角叫{role}
        | 作者 film actor; 主角 film role
    我在图书馆借了一本《{film}》，作者{actor}毕业于{school}
        | 作者 film actor; 毕业院校 actor school
    {actor}，毕业于{school}，{country}人
        | 毕业院校 actor school; 国籍 actor country
    {role}一角由{actor}扮演，观众都说演得好
        | 饰演 actor role
    {actor}是{country}演员，丈夫{actor2}在{school}任教
        | 国籍 actor country; 丈夫 actor actor2; 妻子 actor2 actor
    {actor}的妻子{actor2}是{city}人，两人育有一子{actor3}
        | 妻子 actor actor2; 丈夫 actor2 actor; 父亲 actor3 actor; 母亲 actor3 actor2
    {actor}，祖籍{city}，{actor}的母亲{actor2}是一位教师
        | 祖籍 actor city; 母亲 actor actor2
    {actor}为{role}配音，那年{actor}才二十岁
        | 配音 actor role
    {firm}成立于{day}，注册资本{money}
        | 成立日期 firm day; 注册资本 firm money
    {firm}董事长{actor}表示，公司总部将迁往{city}
        | 董事长 firm actor; 总部地点 firm city
    {city}{local_firm}创始人{actor}把总部设在{city}
        | 创始人 firm_here actor; 总部地点 firm_here city
    {year}年，{actor}凭借《{film}》获得{prize}
        | 获奖 actor prize inWork=film
    {actor}创办了{firm}，{actor2}任{boss}
        | 创始人 firm actor
    {actor}成为{firm}新一任代言人
        | 代言人 firm actor
    {school}现任校长{actor}{day}到任
        | 校长 school actor
    《{song}》由{actor}作词，{actor2}作曲，{actor3}演唱
        | 作词 song actor; 作曲 song actor2; 歌手 song actor3
    {school}成立于{year}年，占地面积{digit}00亩，校长是{actor}
        | 占地面积 school acres; 校长 school actor; 成立日期 school founded
    {country}首都是{city}，官方语言为{tongue}
        | 首都 country city; 官方语言 country tongue
    {city}市面积{digit}00平方公里，人口{people}
        | 面积 city_here square; 人口数量 city_here people
    {actor}演唱的《{song}》收录在专辑《{album}》里
        | 歌手 song actor; 所属专辑 song album
    {hill}海拔{height}，山下就是{lake}
        | 海拔 hill height
    {lake}位于{city}，门票{digit}元
        | 所在城市 lake city
    {person}，号{style}，{dynasty}诗人
        | 号 person style; 朝代 person dynasty
    {actor}和{actor2}搭档主持《{show}》
        | 主持人 show actor; 主持人 show actor2
    {dynasty}画家{person}自号{style}，生于{city}
        | 朝代 person dynasty; 号 person style
    周末和{actor}一起去看了《{film}》，{actor}哭了三次
        |
    {actor}和{actor2}一起出席了{firm}的年会
        |
    """

ROWS = {"duie_train.json": 500, "duie_dev.json": 160, "duie_test1.json": 60}
JOINED = 0.35
"""How often a second sentence follows, so that texts hold relations of different subjects."""
LONGEST = 100
"""Characters after which no sentence follows."""
MISSED = 0.02
"""How often the annotator overlooked a relation."""

WHOLE = {
    "firm_here": "{city}{local_firm}", "acres": "{digit}00亩", "founded": "{year}年", "city_here": "{city}市",
    "square": "{digit}00平方公里",
}  # fmt: skip
"""Names made of several slots of a template: what is written there."""

LEXICON = Lexicon(WORDS)
SENTENCES = list(zip(lines(TEMPLATES)[::2], lines(TEMPLATES)[1::2], strict=True))
"""Templates, and the relations of each."""
SCHEMA = {predicate: (subject, slots) for predicate, subject, slots in TASK.schema}


def relations(filled: Filled, listed: str, dice: Dice) -> list[Record]:
    """The relations of one sentence in the official form."""
    found = []
    for entry in filter(None, (part.strip() for part in listed.split(";"))):
        predicate, subject, value, *slots = entry.split()
        if dice.chance(MISSED):
            continue
        named = {"@value": value, **dict(slot.split("=") for slot in slots)}
        subject_type, types = SCHEMA[predicate]
        found.append({
            "predicate": predicate,
            "object_type": {slot: types[slot] for slot in named},
            "subject_type": subject_type,
            "object": {slot: word(filled, name) for slot, name in named.items()},
            "subject": word(filled, subject),
        })  # fmt: skip
    return found


def word(filled: Filled, name: str) -> str:
    """The words of a slot of the template, or of several together (`WHOLE`)."""
    if name not in WHOLE:
        return filled.words[name]
    return WHOLE[name].format(**filled.words)


def row(dice: Dice, split: str) -> Record:
    """One text of one or two sentences, with its relations: at least one, as in every official row."""
    text, found = "", list[Record]()
    while not found or dice.chance(JOINED):
        template, listed = draw(dice, SENTENCES, split)
        filled = LEXICON.fill(template, dice, split)
        text += ("，" if text else "") + filled.text
        found += relations(filled, listed.removeprefix("|"), dice)
        if len(text) > LONGEST:
            break
    return {"text": text, "spo_list": dice.shuffled(found)} if found else row(dice, split)


def generate(dice: Dice) -> Files:
    """The official files; dev and test hold names and some templates that train has not."""
    unrepeated, files = Unrepeated(), {}
    for file, amount in ROWS.items():
        split = "test" if "test" in file else file.removeprefix("duie_").split(".")[0]
        rows = [unrepeated.take(partial(row, dice, split), lambda made: made["text"]) for _ in range(amount)]
        files[file] = [{"text": one["text"]} for one in rows] if split == "test" else rows
    return files
