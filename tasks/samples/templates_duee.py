"""News with events in them, of twelve of DuEE's 65 types; names are put together, so dev has new ones.

Some sentences tell two events, of one type or of two, that share an argument; some give one name two roles, or name a
thing twice of which only one place belongs to the event. Every type of dev has a template that train knows.
"""

from __future__ import annotations

from functools import partial

from tasks.samples.event_grammar import Sentences, Told, moved
from tasks.samples.grammar import Dice, Files, Lexicon, Record, Unrepeated
from tasks.samples.names import NAMES

WORDS = NAMES | {
    "trade": "电子 医药 置业 物流 食品 重工 能源 网络 纺织 汽车",
    "firm": ["{brand}集团", "{brand}{trade}", "{brand}科技", "{city}{brand}{trade}"],
    "day": ["{month}月{date}日", "昨天", "今天上午", "近日", "日前", "上周五", "{year}年{month}月"],
    "month": "1 2 3 4 5 6 7 8 9 10 11 12",
    "date": "2 4 7 9 11 14 18 21 23 26 28",
    "year": "2016 2017 2018 2019 2020",
    "crowd": ["{digit}00人", "{digit}000名员工", "{digit}余人", "近{number}百人"],
    "toll": ["{number}人", "{digit}人"],
    "age": ["{digit}岁", "享年{old}岁"],
    "old": "71 76 83 88 90 94",
    "money": ["{digit}亿元", "{digit}00万元", "{digit}万元", "{digit}.5亿美元"],
    "share": ["{digit}%股权", "旗下{trade}业务", "全部股份"],
    "product": ["{brand}{model}", "{model}手机", "新款{goods}", "{brand}{goods}"],
    "goods": "轿车 电饭煲 耳机 平板 手表 奶粉 冰箱 电动车",
    "model": "X3 Pro9 S20 T1 Mini Z5 Max",
    "amount": ["{digit}00辆{goods}", "{digit}万台{goods}", "一批{goods}"],
    "team": ["{city}队", "{city}{mascot}队", "{country}队", "{mascot}俱乐部"],
    "mascot": "猛虎 飞鱼 雪豹 红隼 蓝鲸 雷霆 野马 黑曜",
    "match": ["{mascot}杯", "全国联赛", "{city}公开赛", "世预赛"],
    "place": ["{city}市", "{city}", "{city}郊区", "{city}一家{goods}厂", "{city}某仓库", "{city}医院"],
    "office": ["{city}市场监管局", "{city}税务局", "{city}警方", "{country}法院", "{city}证监局"],
    "old_firm": ["{brand}集团", "{brand}{trade}", "{city}日报", "{city}大学"],
    "boss": "总经理 财务主管 销售总监 首席分析师 副总裁",
    "fire": "裁员 裁掉 裁减 大裁员",
    "buy": "收购 购入 买下 并购",
    "sell": "出售 转让 卖出",
    "launch": "发布 推出 公布 上新",
    "die": "去世 逝世 病逝 离世 身亡",
    "win": "战胜 击败 力克 险胜 大胜",
    "lose": "不敌 负于 惜败",
    "fine": "罚款 处罚 开罚",
    "leave": "离职 辞职 辞去 离任",
    "join": "加盟 加入 签约 入职",
    "burn": "起火 失火 着火 火灾",
    "recall": "召回 紧急召回",
    "marry": "结婚 领证 完婚",
    "seize": "抓获 拘捕 逮捕 刑拘",
}  # fmt: skip

TEMPLATES = """
    {day}，{firm}{fire}{crowd}
        | 组织关系-裁员 fire 时间=day 裁员方=firm 裁员人数=crowd
    {firm}宣布{fire}，{crowd}将离开公司
        | 组织关系-裁员 fire 裁员方=firm 裁员人数=crowd
    {firm}和{firm2}{day}相继{fire}，涉及{crowd}
        | 组织关系-裁员 fire 时间=day 裁员方=firm 裁员方=firm2 裁员人数=crowd
    {firm}{day}以{money}{buy}{firm2}{share}
        | 财经/交易-出售/收购 buy 时间=day 收购方=firm 出售价格=money 交易物=share 出售方=firm2
    {firm}拟向{firm2}{sell}{share}，作价{money}
        | 财经/交易-出售/收购 sell 出售方=firm 收购方=firm2 交易物=share 出售价格=money
    {firm}{buy}{share}，{day}又{buy2}{firm2}
        | 财经/交易-出售/收购 buy 收购方=firm 交易物=share; 财经/交易-出售/收购 buy2 时间=day 收购方=firm 交易物=firm2
    {day}，{firm}{launch}{product}
        | 产品行为-发布 launch 时间=day 发布方=firm 发布产品=product
    {firm}{launch}{product}和{product2}，售价未定
        | 产品行为-发布 launch 发布方=firm 发布产品=product 发布产品=product2
    {product}终于来了！{firm}{day}{launch}{product}
        | 产品行为-发布 launch 时间=day 发布方=firm 发布产品=product@2
    {firm}{launch}{product}，{firm2}也{launch2}了{product2}
        | 产品行为-发布 launch 发布方=firm 发布产品=product; 产品行为-发布 launch2 发布方=firm2 发布产品=product2
    {person}{day}在{place}{die}，{age}
        | 人生-死亡 die 死者=person 时间=day 地点=place 死者年龄=age
    著名演员{person}{die}，{age}
        | 人生-死亡 die 死者=person 死者年龄=age
    {place}{burn}，{toll}{die}
        | 灾害/意外-起火 burn 地点=place 死亡人数=toll; 人生-死亡 die 死者=toll 地点=place
    {day}{place}发生{burn}，致{toll}死亡{toll2}受伤
        | 灾害/意外-起火 burn 时间=day 地点=place 死亡人数=toll 受伤人数=toll2
    {place}凌晨{burn}，{toll}受伤
        | 灾害/意外-起火 burn 地点=place 受伤人数=toll
    {match}：{team}{win}{team2}
        | 竞赛行为-胜负 win 赛事名称=match 胜者=team 败者=team2
    {day}的{match}上{team}{lose}{team2}
        | 竞赛行为-胜负 lose 时间=day 赛事名称=match 败者=team 胜者=team2
    {team}{win}{team2}，{team3}{lose}{team}
        | 竞赛行为-胜负 win 胜者=team 败者=team2; 竞赛行为-胜负 lose 败者=team3 胜者=team@2
    {office}对{firm}{fine}{money}
        | 司法行为-罚款 fine 执法机构=office 罚款对象=firm 罚款金额=money
    因虚假宣传，{firm}{day}被{office}{fine}{money}
        | 司法行为-罚款 fine 时间=day 罚款对象=firm 执法机构=office 罚款金额=money
    {person}{day}从{old_firm}{leave}
        | 组织关系-辞/离职 leave 时间=day 离职者=person 原所属组织=old_firm
    {person}{leave}{old_firm}{boss}，转而{join}{firm}
        | 组织关系-辞/离职 leave 离职者=person 原所属组织=old_firm; 组织关系-加盟 join 加盟者=person 所加盟组织=firm
    {person}与{person2}双双{leave}，两人原在{old_firm}任职
        | 组织关系-辞/离职 leave 离职者=person 离职者=person2 原所属组织=old_firm
    {person}正式{join}{team}
        | 组织关系-加盟 join 加盟者=person 所加盟组织=team
    {team}官宣：{person}{day}{join}球队
        | 组织关系-加盟 join 所加盟组织=team 加盟者=person 时间=day
    {firm}{day}{recall}{amount}
        | 产品行为-召回 recall 时间=day 召回方=firm 召回内容=amount
    因存在隐患，{firm}{recall}{amount}和{amount2}
        | 产品行为-召回 recall 召回方=firm 召回内容=amount 召回内容=amount2
    {person}和{person2}{day}{marry}
        | 人生-结婚 marry 时间=day 结婚双方=person 结婚双方=person2
    {person}晒照宣布与{person2}{marry}
        | 人生-结婚 marry 结婚双方=person 结婚双方=person2
    {office}{day}{seize}嫌疑人{person}
        | 司法行为-拘捕 seize 拘捕者=office 时间=day 被拘捕者=person
    潜逃{digit}年，{person}在{place}被{office}{seize}
        | 司法行为-拘捕 seize 拘捕者=office 被拘捕者=person
    左手倒右手？{firm}把{share}{sell}给自己，作价{money}
        | 财经/交易-出售/收购 sell 出售方=firm 收购方=firm 交易物=share 出售价格=money
    """

ROWS = {"duee_train.json": 420, "duee_dev.json": 130, "duee_test1.json": 60}
JOINED = 0.2
"""How often a second sentence follows."""
MISSED = 0.02
"""How often the annotator overlooked an argument."""

SENTENCES = Sentences(Lexicon(WORDS), TEMPLATES)


def event(told: Told, dice: Dice) -> Record:
    """An event in the official form."""
    trigger, *others = told.words
    arguments = [
        {"argument_start_index": words.start, "role": words.role, "argument": words.text, "alias": []}
        for words in dice.shuffled(others)
        if not dice.chance(MISSED)
    ]
    return {
        "event_type": told.type,
        "trigger": trigger.text,
        "trigger_start_index": trigger.start,
        "arguments": arguments,
        "class": told.type.partition("-")[0],
    }


def row(dice: Dice, split: str) -> Record:
    """One text of one or two sentences, with its events."""
    text, told = SENTENCES.tell(dice, split)
    if dice.chance(JOINED):
        more, others = SENTENCES.tell(dice, split)
        told += moved(others, len(text) + 1)
        text += "；" + more
    return {"text": text, "event_list": [event(one, dice) for one in told]}


def identity(dice: Dice) -> str:
    """An id as the official files have them: 32 hexadecimal digits, no row number."""
    return "".join(dice.pick("0123456789abcdef") for _ in range(32))


def generate(dice: Dice) -> Files:
    """The official files; dev and test hold names and some templates that train has not."""
    unrepeated, files = Unrepeated(), {}
    for file, amount in ROWS.items():
        split = file.removeprefix("duee_").split(".")[0].removesuffix("1")
        rows = [unrepeated.take(partial(row, dice, split), lambda made: made["text"]) for _ in range(amount)]
        keys = ("text", "id") if split == "test" else ("text", "id", "event_list")
        files[file] = [{key: (one | {"id": identity(dice)})[key] for key in keys} for one in rows]
    return files
