"""Whom does the pronoun mean? Sentences whose two endings turn it to the one or the other, and the rows made of them.

A frame is a line `beginning | ending = a | ending = b`: `{a}` and `{b}` are the two candidates, `<...>` is the pronoun,
what stands behind the equals sign is whom it means. `[...]` is a noun it never means.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tasks.samples.grammar import Dice, Files, Lexicon, Record, Unrepeated, draw, lines
from tasks.samples.names import NAMES

PEOPLE = """
    {a}把伞借给了{b}， | 因为<他>带了两把。 = a | 因为<他>出门忘了带。 = b
    {a}向{b}问路， | 因为<他>第一次来这座[县城]。 = a | 因为<他>在这条[街]上住了三十年。 = b
    {a}想请{b}帮忙修[水管]， | <他>自己对着漏水束手无策。 = a | <他>干这一行十几年了。 = b
    {a}在[长跑]中输给了{b}， | <他>跑到一半就没了力气。 = a | <他>冲线的时候还面不改色。 = b
    {a}替{b}值了夜班， | <他>忙到天亮才合眼。 = a | <他>的孩子那天夜里发高烧。 = b
    {a}送给{b}一本旧[词典]， | 书的扉页上还有<他>当年的签名。 = a | <他>翻开第一页就爱不释手。 = b
    {a}给{b}打了三次[电话]都没打通， | 急得<他>在屋里来回走。 = a | 后来才知道<他>的手机没电了。 = b
    {a}批评了{b}， | 说完<他>又觉得自己话太重了。 = a | <他>低着头不敢出声。 = b
    {a}从{b}手里买下那辆旧[三轮车]， | <他>数了半天才凑够钱。 = a | <他>早就想把它卖掉了。 = b
    {a}扶着{b}慢慢下楼， | <他>生怕对方摔倒。 = a | <他>的腿上还打着石膏。 = b
    {a}教{b}下[象棋]， | <他>讲得很有耐心。 = a | <他>半天也没记住马怎么走。 = b
    {a}等了{b}一个钟头， | <他>差点就转身走了。 = a | <他>赶到时满脸歉意。 = b
    {a}羡慕{b}， | <他>总觉得自己什么都不如人。 = a | <他>年年都拿一等奖。 = b
    {a}欠{b}两百块[钱]， | <他>答应发了工资就还。 = a | <他>催了好几回也没要到。 = b
    {a}给{b}做了一碗[面]， | <他>在灶台前忙得满头大汗。 = a | <他>连汤都喝得一滴不剩。 = b
    {a}骗了{b}， | 事后<他>心里一直不安。 = a | <他>知道真相后气得发抖。 = b
    {a}追上{b}， | <他>把落下的[钱包]递了过去。 = a | <他>这才发现自己的钱包丢了。 = b
    {a}在台上讲，{b}在台下听， | <他>的嗓子都讲哑了。 = a | <他>一边听一边记[笔记]。 = b
    {a}拜{b}为师， | <他>学了三年才出徒。 = a | <他>收徒弟一向很严。 = b
    {a}去[医院]看望{b}， | <他>特意买了一篮水果。 = a | <他>刚做完手术，还不能下床。 = b
    {a}把座位让给了{b}， | <他>站了一路也不觉得累。 = a | <他>抱着孩子连声道谢。 = b
    {a}拒绝了{b}的请求， | <他>实在抽不出时间。 = a | <他>只好另外找人帮忙。 = b
    {a}采访了{b}， | <他>提的问题都很尖锐。 = a | <他>对着[镜头]有些紧张。 = b
    {a}雇了{b}看[店]， | <他>每月按时发工资。 = a | <他>每天一早就来开门。 = b
    {a}吵醒了{b}， | <他>连忙把[收音机]关小。 = a | <他>揉着眼睛很不高兴。 = b
    {a}救起了落水的{b}， | <他>水性好，三两下就游到了岸边。 = a | <他>呛了好几口水。 = b
    {a}抱怨{b}开会迟到， | <他>最讨厌不守时的人。 = a | <他>解释说路上堵车。 = b
    {a}托{b}往家里捎[信]， | <他>已经两年没有回去了。 = a | <他>正好要路过那个村子。 = b
    """

THINGS = """
    {thing}放不进{box}， | 因为<它>太大了。 = a | 因为<它>太小了。 = b
    {thing}从{box}里掉了出来， | <它>摔在地上沾满了灰。 = a | 原来<它>的底部破了一个洞。 = b
    [外婆]用{cloth}盖住了{food}， | <它>正好有一张桌子那么大。 = a | 免得<它>凉得太快。 = b
    {vehicle}撞上了{post}， | <它>刹车突然失灵。 = a | 好在<它>是石头做的，只掉了一块皮。 = b
    {animal}追着{prey}满院子跑， | <它>饿了整整一天。 = a | 最后<它>钻进墙洞才逃过一劫。 = b
    {light}照着{picture}， | <它>的电线垂在[墙角]。 = a | <它>的颜色在光下格外鲜艳。 = b
    {tool}砍不动{wood}， | <它>早就该磨了。 = a | <它>硬得像铁一样。 = b
    {animal}趴在{furniture}上打盹， | <它>的呼噜声传得很远。 = a | <它>的垫子被压出一个坑。 = b
    """

GROUPS = """
    {crowd}拦住了{crowd2}， | <他们>不同意拆掉[老桥]。 = a | <他们>手里拿着拆桥的通知。 = b
    {crowd}给{crowd2}让出一条[路]， | <他们>自动站到了两边。 = a | <他们>抬着担架快步走过。 = b
    {crowd}感谢{crowd2}， | <他们>敲锣打鼓送来锦旗。 = a | <他们>冒雨干了一整夜。 = b
    {crowd}等候{crowd2}， | <他们>早早就在[门口]排好了队。 = a | <他们>的车在半路抛了锚。 = b
    """

MIXED = """
    {he}抱着{animal}坐在门口， | <他>正跟邻居说话。 = a | <它>眯着眼睛晒太阳。 = b
    {she}把{thing}搬到院子里， | <她>累得直喘气。 = a | <它>上面落满了灰。 = b
    {he}领着{crowd}上了山， | <他>走在最前面带路。 = a | <他们>边走边唱歌。 = b
    {she}给{crowd}烧了一大锅水， | <她>往灶里添了几把柴。 = a | <他们>喝完又接着干活。 = b
    {he}开着{vehicle}进了城， | <他>要去办点事。 = a | <它>的发动机响得厉害。 = b
    {she}望着墙上的{picture}出神， | <她>想起了小时候。 = a | <它>挂在那里很多年了。 = b
    {she}把{he}送到[车站]， | <她>一直挥着手。 = a | <他>上车以后回头看了一眼。 = b
    {he}和{she}约好在[桥头]见面， | <他>提前十分钟就到了。 = a | <她>穿着一件红毛衣。 = b
    {crowd}围着{he}问个不停， | <他们>想知道比赛的结果。 = a | <他>摆摆手说还没有公布。 = b
    {crowd}把{thing}抬上了楼， | <他们>歇了两次才到。 = a | <它>比想象的重得多。 = b
    {he}养的{animal}跑丢了， | <他>找了整整一夜。 = a | 天亮时<它>自己回来了。 = b
    {she}用{tool}劈柴， | <她>的袖子卷得高高的。 = a | <它>的木柄都磨光滑了。 = b
    """
"""Number, gender or kind of the pronoun settles whom it means."""

PRONOUN_FIRST = """
    因为<他>出门忘了带伞，{a}只好向{b}借了一把。 = a
    <他>虽然年纪最小，{a}却在棋盘上赢了{b}。 = a
    还没等<他>开口，{a}就看见{b}摆了摆手。 = a
    自从<他>搬到隔壁，{a}几乎每天都要找{b}聊上几句。 = a
    <他>放下碗筷，{a}问{b}明天去不去赶集。 = a
    看见<他>满头大汗地跑来，{a}赶紧给{b}倒了杯水。 = b
    知道<他>爱吃甜的，{a}特地给{b}留了两块糕。 = b
    当<他>被大家围住的时候，{a}站在门外替{b}着急。 = b
    """
"""The pronoun before both nouns: only in test.json, as in the official files."""

SCENES = lines("""
    事情发生在去年春天。
    那是入冬后的第一个早晨。
    这件事大家后来常常提起。
    我记得清清楚楚。
    说起来已经是好几年前的事了。
    村里的老人至今还会说起。
    当时我就站在旁边。
    那天和往常没有什么两样。
    """)

WORDS = NAMES | {
    "he_name": "一鸣 建国 思远 志刚 海生 文博 永强 立新 国栋 大勇 锦程 明轩",
    "she_name": "若溪 雨桐 佳宁 晓梅 秀英 知夏 春燕 静怡 月华 小满 子涵 望舒",
    "he": ["{surname}{he_name}", "{surname}师傅", "{surname}{he_name}", "老{surname}", "{surname}老板"],
    "she": ["{surname}{she_name}", "{surname}大姐", "{surname}{she_name}", "{surname}阿姨", "{surname}婶"],
    "thing": "奖杯 花瓶 小提琴 热水壶 旧相册 木马",
    "box": "箱子 柜子 背包 抽屉 纸盒 竹篮",
    "cloth": "棉布 毛毯 桌布 旧床单",
    "food": "年糕 馒头 米饭 炖菜 豆浆",
    "vehicle": "卡车 拖拉机 电动车 面包车 马车",
    "post": "桥墩 石墙 牌坊 石狮子 台阶",
    "animal": "花猫 黄狗 大白鹅 黑猫 狼狗",
    "prey": "老鼠 兔子 小鸡 蜥蜴 松鼠",
    "light": "台灯 落地灯 吊灯 射灯",
    "picture": "油画 年画 地图 刺绣 老照片",
    "tool": "斧头 柴刀 旧锯子 砍刀",
    "wood": "老榆木 树根 木桩 枣木",
    "furniture": "沙发 藤椅 摇椅 木床",
    "crowd": "村民 学生 志愿者 工人 游客 队员 护士 渔民 老人们 孩子们 消防员 家长",
}

KINDS = (PEOPLE, PEOPLE, PEOPLE, MIXED, MIXED, MIXED, THINGS, GROUPS)
ROWS = {"train.json": 500, "dev.json": 150, "test.json": 70, "test1.0.json": 50}
SCENE_SHARE = 0.45
PRONOUN_FIRST_SHARE = 0.25
MISLABELLED = 0.03
IDS = 150
"""`idx` counts up to this and starts again: in the official train it is not unique either."""

PIECE = re.compile(r"<(?P<pronoun>[^>]+)>|\[(?P<noun>[^\]]+)\]|\{(?P<slot>[a-z_]+\d*)\}")


class Riddle(NamedTuple):
    """A sentence, its pronoun, its nouns, each (start, text), characters; `answer` is the place among the nouns."""

    text: str
    pronoun: tuple[int, str]
    nouns: list[tuple[int, str]]
    answer: int


def frame(dice: Dice, split: str, kinds: str) -> tuple[str, str]:
    """(sentence with slots, "a" or "b") of one of the frames in `kinds`, people still `{a}` and `{b}`."""
    line = draw(dice, lines(kinds), split)
    if " | " not in line:
        sentence, answer = line.rsplit(" = ", 1)
        return sentence, answer
    beginning, *endings = line.split(" | ")
    ending, answer = dice.pick(endings).rsplit(" = ", 1)
    return beginning + ending, answer


def riddle(dice: Dice, split: str, *, pronoun_first: bool = False) -> Riddle:
    """One sentence with its candidates, the two of the frame first, nouns that are never meant last."""
    kinds = PRONOUN_FIRST if pronoun_first else dice.pick(KINDS)
    sentence, answer = frame(dice, split, kinds)
    if "{a}" in sentence:
        gender = dice.pick(("he", "she"))
        sentence = sentence.replace("{a}", f"{{{gender}}}").replace("{b}", f"{{{gender}2}}")
        if gender == "she":
            sentence = sentence.replace("<他>", "<她>")
    if not pronoun_first and dice.chance(SCENE_SHARE):
        sentence = draw(dice, SCENES, split) + sentence
    lexicon = Lexicon(WORDS)
    words: dict[str, str] = {}
    for match in PIECE.finditer(sentence):
        if match["slot"]:
            words |= lexicon.fill(match[0], dice, split, words).words
    found = located(sentence, words, answer)
    if pronoun_first:
        return found
    return found._replace(nouns=[noun for noun in found.nouns if noun[0] < found.pronoun[0]])


def located(sentence: str, words: dict[str, str], answer: str) -> Riddle:
    """The finished text of `sentence` with the offsets of its pronoun and nouns."""
    text, position, pronoun = "", 0, (0, "")
    candidates: list[tuple[int, str]] = []
    others: list[tuple[int, str]] = []
    for match in PIECE.finditer(sentence):
        text += sentence[position : match.start()]
        position = match.end()
        piece = words[match["slot"]] if match["slot"] else match["noun"] or match["pronoun"]
        if match["slot"]:
            candidates.append((len(text), piece))
        elif match["noun"]:
            others.append((len(text), piece))
        else:
            pronoun = (len(text), piece)
        text += piece
    return Riddle(text + sentence[position:], pronoun, candidates + others, "ab".index(answer))


def row(one: Riddle, choice: int, number: int, dice: Dice) -> Record:
    """The question whether the pronoun of `one` means its noun `choice`, official keys in official order."""
    (noun_start, noun), (start, pronoun) = one.nouns[choice], one.pronoun
    target = {"span2_index": start, "span1_index": noun_start, "span1_text": noun, "span2_text": pronoun}
    means = (choice == one.answer) != dice.chance(MISLABELLED)
    return {"target": target, "idx": number % IDS + 1, "label": "true" if means else "false", "text": one.text}


def generate(dice: Dice) -> Files:
    """The four official files; one sentence gives two or three rows, and no sentence is in two files."""
    unrepeated, files = Unrepeated(), {}
    for file, amount in ROWS.items():
        split = file.split(".")[0]
        rows: list[Record] = []
        while len(rows) < amount:
            first = file == "test.json" and dice.chance(PRONOUN_FIRST_SHARE)
            one = riddle(dice, split, pronoun_first=first)
            if unrepeated.add(one.text):
                rows.extend(row(one, choice, len(rows) + choice, dice) for choice in range(len(one.nouns)))
        files[file] = rows[:amount]
    files["test.json"] = [
        {"id": number, "target": official_order(one["target"]), "text": one["text"]}
        for number, one in enumerate(files["test.json"])
    ]
    files["test1.0.json"] = [
        {"target": one["target"], "id": number + 1, "text": one["text"]}
        for number, one in enumerate(files["test1.0.json"])
    ]
    return files


def official_order(target: Record) -> Record:
    """The keys of a target in the order that test.json has them."""
    return {key: target[key] for key in ("span1_index", "span1_text", "span2_index", "span2_text")}
