"""Financial news with events in it, of seven of DuEE-fin's 13 types, told without offsets.

A document is a title and a text of several sentences. The title names a firm and often alone holds the trigger or an
argument; documents tell several events that share arguments, a listing has one of four stages that stands nowhere in
the text, and one document in eight tells nothing and has no `event_list`.
"""

from __future__ import annotations

from functools import partial

from tasks.samples.event_grammar import Sentences, Told
from tasks.samples.grammar import Dice, Files, Lexicon, Record, Unrepeated
from tasks.samples.names import NAMES
from tasks.samples.templates_duee import identity

WORDS = NAMES | {
    "trade": "电子 医药 置业 物流 食品 重工 能源 纺织 环保 软件",
    "firm": ["{brand}{trade}", "{brand}股份", "{city}{brand}", "{brand}科技"],
    "fund": ["{brand}资本", "{brand}创投", "{city}产业基金", "{country}投资公司"],
    "bank": ["{city}银行", "{brand}证券", "{brand}信托有限公司"],
    "told": ["{month}月{date}日晚", "{month}月{date}日", "今日", "日前", "{date}日"],
    "day": ["{year}年{month}月{date}日", "{month}月{date}日", "去年{month}月", "{year}年底"],
    "month": "1 2 3 4 5 6 7 8 9 10 11 12",
    "date": "2 4 7 9 11 14 18 21 23 26 28",
    "year": "2017 2018 2019 2020",
    "money": ["{digit}亿元", "{digit}00万元", "{digit}.{small}亿美元", "{digit}{small}00万元"],
    "small": "2 4 6 8",
    "shares": ["{digit}00万股", "{digit}{small}.5万股", "{digit}000万股"],
    "price": ["{digit}.{small}元/股", "{digit}港元", "{digit}美元"],
    "cost": ["{digit}.{small}元"],
    "part": ["{digit}.{small}%", "{small}.{digit}%"],
    "code": ["60{digit}{small}1.SH", "300{digit}{small}2", "0{small}{digit}66.HK"],
    "round": "A轮 B轮 C轮 天使轮 战略",
    "project": ["{city}污水处理项目", "{city}地铁{digit}号线工程", "{city}医院{trade}采购项目"],
    "boss": "总经理 财务总监 董事长 独立董事 副总裁 董秘",
    "who": ["{person}", "{person}", "{brand}集团", "{fund}"],
    "period": ["{year}年上半年", "{year}年第{number_small}季度", "{year}年度"],
    "number_small": "一 二 三 四",
    "list": "上市 IPO 挂牌",
    "raise": "融资 募资",
    "pledge": "质押 股权质押",
    "cut": "减持 抛售",
    "add": "增持 买入",
    "lose": "亏损 净亏损",
    "win": "中标 竞得",
    "quit": "辞职 离任 辞去",
}  # fmt: skip

TITLES = """
    {firm}{list}新进展：发行价{price}
        | 公司上市 list 上市公司=firm 发行价格=price 环节=!正式上市
    {firm}拟赴港{list}
        | 公司上市 list 上市公司=firm 环节=!筹备上市
    {firm}完成{money}{round}{raise}
        | 企业融资 raise 被投资方=firm 融资金额=money 融资轮次=round
    {who}{cut}{firm}{shares}
        | 股东减持 cut 减持方=who 股票简称=firm 交易股票/股份数量=shares
    {firm}：{period}{lose}{money}
        | 亏损 lose 公司名称=firm 财报周期=period 净亏损=money
    {firm}公告速递
        |
    {told}公司新闻：{firm}
        |
    """

SENTENCES = """
    {told}，{firm}在科创板{list}，证券代码{code}，募资{money}。
        | 公司上市 list 披露时间=told 上市公司=firm 证券代码=code 募资金额=money 环节=!正式上市
    据知情人士透露，{firm}计划{day}{list}，估值{money}。
        | 公司上市 list 上市公司=firm 事件时间=day 市值=money 环节=!筹备上市
    交易所决定{firm}股票自{day}起终止{list}。
        | 公司上市 list 上市公司=firm 事件时间=day 环节=!终止上市
    {firm}因未披露年报，股票{code}{day}被暂停{list}。
        | 公司上市 list 上市公司=firm 证券代码=code 事件时间=day 环节=!暂停上市
    {told}消息，{firm}宣布完成{money}{round}{raise}，由{fund}领投，{fund2}跟投。
        | 企业融资 raise 披露时间=told 被投资方=firm 融资金额=money 融资轮次=round 领投方=fund 投资方=fund 投资方=fund2
    {day}，{firm}完成{round}{raise}，投资方为{fund}和{fund2}。
        | 企业融资 raise 事件时间=day 被投资方=firm 融资轮次=round 投资方=fund 投资方=fund2
    {firm}公告，{who}{day}以{price}{cut}{shares}，占总股本{part}。
        | 股东减持 cut 股票简称=firm 减持方=who 交易完成时间=day 每股交易价格=price 减持部分占总股本比例=part
    {who}和{who2}分别以{cost}、{cost2}{cut}{firm}。
        | 股东减持 cut 减持方=who 股票简称=firm 每股交易价格=cost; 股东减持 cut 减持方=who2 每股交易价格=cost2
    {told}，{who}{add}{firm}{shares}，耗资{money}。
        | 股东增持 add 披露时间=told 增持方=who 股票简称=firm 交易股票/股份数量=shares 交易金额=money
    {who}将{firm}{shares}{pledge}给{bank}，占其所持{part}。
        | 质押 pledge 质押方=who 质押物所属公司=firm 质押股票/股份数量=shares 质权方=bank 质押物占持股比=part
    {who}把{firm}股票{pledge}给{bank}，又把其余股票{pledge}给{bank2}。
        | 质押 pledge 质押方=who 质押物所属公司=firm 质权方=bank; 质押 pledge@2 质押方=who 质权方=bank2
    财报显示，{firm}{period}{lose}{money}，同比扩大{part}。
        | 亏损 lose 公司名称=firm 财报周期=period 净亏损=money 亏损变化=part
    {firm}{told}披露，公司{win}{project}，金额{money}。
        | 中标 win 中标公司=firm 披露日期=told 中标标的=project 中标金额=money
    {firm}与{firm2}联合{win}{project}。
        | 中标 win 中标公司=firm 中标公司=firm2 中标标的=project
    {person}因个人原因{quit}{firm}{boss}职务。
        | 高管变动 quit 高管姓名=person 任职公司=firm 高管职位=boss 变动类型=quit
    {firm}的主营业务是{trade}，总部在{city}。
        |
    {firm}表示，公司经营一切正常，提醒投资者注意风险。
        |
    截至发稿，{firm}尚未回应。
        |
    昨日{trade}板块普遍上涨，{firm}涨幅居前。
        |
    """

ROWS = {"duee_fin_train.json": 310, "duee_fin_dev.json": 110, "duee_fin_test1.json": 60}
EMPTY = 0.12
"""How many documents tell nothing."""

LEXICON = Lexicon(WORDS)
"""Names of firms are drawn once a document, so that its title and its sentences speak of the same ones."""


def event(told: Told, dice: Dice) -> Record:
    """An event in the official form."""
    trigger, *others = told.words
    arguments = [{"role": words.role, "argument": words.text} for words in dice.shuffled(others)]
    return {"trigger": trigger.text, "event_type": told.type, "arguments": arguments}


def row(dice: Dice, split: str) -> Record:
    """A document: a title and one to three sentences, with its events."""
    firm = {"firm": LEXICON.fill("{firm}", dice, split).text}
    wanted = not dice.chance(EMPTY)
    while True:
        title, told = Sentences(LEXICON, TITLES).tell(dice, split, firm)
        texts: list[str] = []
        for _ in range(1 + dice.below(3)):
            text, more = Sentences(LEXICON, SENTENCES).tell(dice, split, firm)
            texts.append(text)
            told = told + more
        if bool(told) == wanted:
            break
    text = "\n".join(["".join(texts[:2]), *texts[2:]])
    found = {"text": text, "event_list": [event(one, dice) for one in told], "title": title}
    if not told:
        del found["event_list"]
    return found


def generate(dice: Dice) -> Files:
    """The official files; dev and test hold names and some templates that train has not."""
    unrepeated, files = Unrepeated(), {}
    for file, amount in ROWS.items():
        split = file.removeprefix("duee_fin_").split(".")[0].removesuffix("1")
        rows = [unrepeated.take(partial(row, dice, split), lambda made: made["text"]) for _ in range(amount)]
        keys = ("text", "id", "title") if split == "test" else ("text", "event_list", "id", "title")
        with_ids = [one | {"id": identity(dice)} for one in rows]
        files[file] = [{key: one[key] for key in keys if key in one} for one in with_ids]
    return files
