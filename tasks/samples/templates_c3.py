"""Dialogues and short prose that nobody held or wrote, with questions on what is said in them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tasks.samples.grammar import Dice, Files, Lexicon, Unrepeated, draw, known, lines

WORDS = {
    "time": "七点 八点半 九点 十点一刻 十一点 下午两点 下午三点半 四点钟 傍晚六点 晚上八点",
    "day": "星期一 星期二 星期三 星期四 星期五 星期六 星期天 周末 假日 月底",
    "place": "图书馆 火车站 体育馆 电影院 公园 超市 医院 银行 咖啡馆 博物馆 机场 学校门口",
    "city": "青州 云城 海宁湾 北川 南屏 柳江 松原 白水 石林 东岭",
    "food": "饺子 牛肉面 烤鸭 酸菜鱼 包子 炒饭 火锅 馄饨 豆腐 煎饼",
    "job": "医生 司机 记者 厨师 律师 老师 护士 工程师 演员 会计",
    "price": "二十块 三十五块 五十块 八十块 一百块 一百二十块 两百块 三百块",
    "thing": "雨伞 手机 钱包 钥匙 书包 眼镜 照相机 手表 围巾 电脑",
    "animal": "小猫 小狗 兔子 鹦鹉 金鱼 乌龟 松鼠 鸭子",
    "sport": "游泳 跑步 打篮球 踢足球 打羽毛球 爬山 滑雪 骑自行车",
    "kin": "弟弟 妹妹 爸爸 妈妈 爷爷 奶奶 姑姑 表哥",
    "mood": "高兴 担心 生气 失望 紧张 感动 后悔 骄傲",
    "cause": "堵车 下大雨 起床晚了 生病了 手机没电了 记错了时间 家里来了客人 车坏了",
    "skill": "画画 弹琴 书法 唱歌 跳舞 下棋 摄影 做菜",
    "number": "三 四 五 六 八 十 十二 二十",
}

DIALOGUES = """
    男：明天的会几点开？|女：{time}，在{place}旁边的楼里，你别迟到。
    ? 会议几点开始？ time
    ? 会议室在哪儿附近？ place
    女：你怎么现在才来？电影都开始了。|男：对不起，{cause}。我给你买了{food}。|女：算了，快进去吧。
    ? 男的为什么来晚了？ cause
    ? 男的给女的买了什么？ food
    男：这件衣服多少钱？|女：原来卖{price}，今天打折，只要{price2}。|男：那我要一件。
    ? 衣服现在多少钱？ price2
    ? 衣服原来多少钱？ price
    女：你{kin}现在做什么工作？|男：他在{city}当{job}，每天都很忙。
    ? 男的的{kin}做什么工作？ job
    ? 他在哪个城市工作？ city
    男：周末我们去{sport}吧。|女：我{day}要陪{kin}去{place}，改天行吗？|男：那就下次。
    ? 男的想去做什么？ sport
    ? 女的要陪谁？ kin
    ? 女的要去哪儿？ place
    女：我的{thing}不见了！|男：别急，你刚才去过{place}，是不是忘在那儿了？|女：对，我回去看看。
    ? 女的丢了什么？ thing
    ? 东西可能忘在哪儿了？ place
    男：晚上想吃什么？|女：昨天吃了{food}，今天吃{food2}怎么样？|男：好，听你的。
    ? 他们今天晚上吃什么？ food2
    ? 他们昨天吃了什么？ food
    女：听说你家养了一只{animal}？|男：是{kin}送给我的，{day}刚带回来。
    ? 男的养了什么？ animal
    ? 动物是谁送的？ kin
    男：请问去{city}的火车几点开？|女：{time}有一趟，票价{price}。|男：好，我买两张。
    ? 火车几点开？ time
    ? 男的要去哪儿？ city
    ? 一张票多少钱？ price
    女：你看起来很{mood}，怎么了？|男：下午要考{skill}，我一点准备都没有。
    ? 男的现在心情怎么样？ mood
    ? 男的下午考什么？ skill
    男：孩子这么小就学{skill}？|女：是啊，每个星期学{number}个小时，她自己喜欢。|男：我女儿只爱{sport}。
    ? 女的的孩子在学什么？ skill
    ? 男的的女儿喜欢什么？ sport
    女：喂，我已经到{place}了，你在哪儿？|男：我还在路上，{cause}，你先进去等我。
    ? 女的现在在哪儿？ place
    ? 男的为什么还没到？ cause
"""

PROSE = """
    小林从{city}的一所大学毕业以后当了{job}。他平时最喜欢{sport}，每个{day}都要去{place}。去年生日，{kin}送给他{thing}，他一直带在身边。
    ? 小林的工作是什么？ job
    ? 小林喜欢什么运动？ sport
    ? 小林收到的礼物是什么？ thing
    {place}门口新开了一家小店，只卖{food}，一份{price}。老板原来是{job}，因为喜欢做饭才换了工作。店里每天{time}开门，常常排起长队。
    ? 小店卖什么？ food
    ? 老板原来做什么？ job
    ? 小店几点开门？ time
    小时候我很想学{skill}，可是家里穷，买不起老师要的书。{kin}知道以后，把自己的{thing}卖了{price}，给我交了学费。想到这里我就很{mood}。
    ? 小时候“我”想学什么？ skill
    ? 谁帮“我”交了学费？ kin
    ? 为了交学费卖掉了什么？ thing
    动物园最近来了一只{animal}，它刚来的时候不吃东西，管理员很{mood}。后来人们发现它喜欢听人唱歌，一听就能吃下半盆{food}。现在每天{time}，都有孩子来看它。
    ? 动物园来了什么动物？ animal
    ? 管理员开始时心情怎么样？ mood
    ? 孩子们什么时候来看它？ time
    学校要在{day}举行{sport}比赛，地点在{place}。报名的有{number}个班，王老师说，得第一名的班可以去{city}旅行。
    ? 比赛在哪儿举行？ place
    ? 比赛在什么时候？ day
    ? 有几个班报名？ number
    从{city}到{city2}的路上，我们的车停了三次。第一次是因为{cause}，最后一次是为了吃{food}。到的时候已经是{time}了。
    ? 他们要去哪儿？ city2
    ? 他们是从哪儿出发的？ city
    ? 车第一次为什么停下来？ cause
    邻居老赵退休前是{job}，退休以后开始学{skill}。他说，人老了不能总坐着，所以每天还要{sport}。他养的{animal}总跟在他身后。
    ? 老赵退休以前是做什么的？ job
    ? 老赵退休后学什么？ skill
    ? 老赵养了什么？ animal
    上个月，妹妹在{place}捡到{thing}，旁边还有{price}。她等了半天，把东西还给了失主。失主非常{mood}，一定要请她吃{food}。
    ? 妹妹捡到了什么？ thing
    ? 旁边有多少钱？ price
    ? 失主要请妹妹吃什么？ food
"""

DOCUMENTS = {
    "d-train.json": 270, "m-train.json": 130, "d-dev.json": 70, "m-dev.json": 40, "test1.0.json": 40,
    "test1.1.json": 25,
}  # fmt: skip
WRONG_SHARE = 0.02
"""How often the answer of a train question is another choice: nobody reaches 100 %."""
FOREIGN_SHARE = 0.85
"""How often a wrong choice is no answer to such a question at all (a price where a place is asked for)."""
NEAR_SHARE = 0.35
"""How often wrong choices are words that the text has too, so that finding the word is not enough."""
MANY = {"test1.1.json": 8}
"""Files in which one question has so many choices, as six of the official test do."""
FIRST_ID = 11


class Scene(NamedTuple):
    """A text and its questions, each with the slot that answers it."""

    text: str
    questions: list[tuple[str, str]]


def scenes(block: str) -> list[Scene]:
    """The scenes of a block: a line of text, then its questions."""
    found: list[Scene] = []
    for line in lines(block):
        if line.startswith("? "):
            _, question, slot = line.split()
            found[-1].questions.append((question, slot))
        else:
            found.append(Scene(line, []))
    return found


def choices(right: str, slot: str, text: str, amount: int, dice: Dice) -> list[str]:
    """`amount` different words with the right one among them; some of the others stand in the text too."""
    near = dice.chance(NEAR_SHARE)
    found = [right]
    while len(found) < amount:
        foreign = dice.chance(FOREIGN_SHARE)
        kind = dice.pick([name for name in WORDS if name != slot]) if foreign else slot
        words = [word for word in known(WORDS[kind].split()) if word not in found]
        told = [word for word in WORDS[slot].split() if word in text and word not in found]
        found.append(dice.pick(told if near and told and not foreign else words))
    return dice.shuffled(found)


def document(scene: Scene, dice: Dice, split: str, amounts: tuple[int, ...]) -> tuple[list[str], list[dict[str, Any]]]:
    """The utterances of a filled scene and its questions."""
    filled = Lexicon(WORDS).fill(scene.text, dice, split)
    questions = []
    for question, slot in dice.some(scene.questions, 1 + dice.below(len(scene.questions))):
        right = filled.words[slot]
        listed = choices(right, slot.rstrip("2"), filled.text, dice.pick(amounts), dice)
        asked = Lexicon(WORDS).fill(question, dice, split, filled.words).text
        answer = right
        if split == "train" and dice.chance(WRONG_SHARE):
            answer = next(choice for choice in listed if choice != right)
        questions.append({"question": asked, "choice": listed, "answer": answer})
    return filled.text.split("|"), questions


def make_file(file: str, unrepeated: Unrepeated, dice: Dice) -> list[Any]:
    """The items of one file; those of a test without answers and with numbers, which are not in order."""
    split = "train" if "train" in file else "dev"
    kinds = {"d": [DIALOGUES], "m": [PROSE]}.get(file.split("-")[0], [DIALOGUES, PROSE])
    items: list[Any] = []
    for number in range(DOCUMENTS[file]):
        every, amounts = scenes(dice.pick(kinds)), (2, 3, 4, 4, 4) if "m" in file[:1] else (3, 4, 4, 4)
        text, questions = unrepeated.take(
            lambda every=every, amounts=amounts: document(draw(dice, every, split), dice, split, amounts),  # type: ignore[misc]
            lambda made: "".join(made[0]),
        )
        items.append([text, questions] + ([] if file.startswith("test") else [f"{file[0]}-{number}"]))
    return items


def generate(dice: Dice) -> Files:
    """The official files, one JSON document each."""
    unrepeated, files = Unrepeated(), {}
    for file in DOCUMENTS:
        items = make_file(file, unrepeated, dice)
        if file == "m-train.json":  # a choice that occurs twice, as in five official train questions
            items[0][1][0]["choice"].append(items[0][1][0]["choice"][0])
        if file.startswith("test"):
            questions = [question for item in items for question in item[1]]
            for question, number in zip(questions, dice.shuffled(range(len(questions))), strict=True):
                del question["answer"]
                question["id"] = FIRST_ID + number
            if file in MANY:
                more = [word for word in WORDS["place"].split() if word not in questions[0]["choice"]]
                questions[0]["choice"] += more[: MANY[file] - len(questions[0]["choice"])]
        files[file] = "[\n" + ",\n".join(json.dumps(item, ensure_ascii=False) for item in items) + "\n]\n"
    return files
