"""Idioms in sentences that call for them: passages with blanks for ChID, and for FewCLUE's form of it."""

from __future__ import annotations

import json

from tasks.samples.grammar import Dice, Files, Lexicon, Record, Unrepeated, draw, lines

IDIOMS = """
    一帆风顺
    祝{who}在{place}的新工作_，早日升职。
    这次出海{who}走得_，没有遇到一场风浪。
    人生的道路不可能总是_，{who}早就懂得这个道理。
    从报名到毕业，{who}的学业可以说_，没有一点波折。
    手忙脚乱
    客人提前到了，{who}在厨房里_，连盐都放错了。
    闹钟没有响，{who}_地穿好衣服就往{place}跑。
    第一次照看孩子，{who}一会儿找奶瓶一会儿换尿布，_。
    电话、订单一齐涌来，新来的{who}一时_。
    半途而废
    学琴贵在坚持，{who}不愿意_，每天练两个小时。
    资金用完了，{place}的工程只好_。
    登山登到一半就下来，{who}后悔自己_。
    减肥计划才过了一周就_，{who}又吃起了夜宵。
    门庭若市
    新店开张第一天就_，{who}忙得没有时间喝水。
    自从得了奖，{who}在{place}的画室_，来参观的人排成长队。
    这家老字号每到节日总是_，队伍一直排到街口。
    打折的消息传开以后，商场里_，停车场早就满了。
    鸦雀无声
    老师一走进来，吵闹的教室立刻_。
    全场_，观众屏住呼吸等{who}宣布结果。
    深夜的{place}_，只听见自己的脚步。
    大家都不肯先开口，会议室里_，气氛十分尴尬。
    井井有条
    {who}把仓库收拾得_，找什么都很快。
    班长做事仔细，活动安排得_。
    虽然人手不多，{place}的接待工作却进行得_。
    搬家之后她用一天时间把家里布置得_，书都按类别放好。
    目不转睛
    孩子们_地盯着台上的魔术师，生怕漏掉一个动作。
    {who}_地看着屏幕，等待比分变化。
    小猫_地望着鱼缸里的金鱼。
    参观者站在{place}的古画前，_地看了很久。
    雪中送炭
    {place}受灾以后，{who}送来的棉衣真是_。
    正在缺钱的时候，朋友寄来的学费_，让{who}感动不已。
    疫情期间药品紧缺，这批物资无异于_。
    公司快要倒闭时，那笔贷款可谓_。
    五花八门
    庙会上的小吃_，{who}每样都想尝一口。
    网上的减肥方法_，真假难辨。
    {place}的纪念品_，从木雕到风筝什么都有。
    骗子的手段_，老人要格外小心。
    胸有成竹
    {who}早就背熟了台词，_地走上舞台。
    复习得很充分，考试那天她显得_。
    面对记者的提问，{who}_，一一作答。
    教练对明天的战术_，一点也不紧张。
    恍然大悟
    听了{who}的解释，大家这才_。
    看到谜底，孩子们_，原来答案这么简单。
    想了一夜的难题，被{who}一句话点破，他_。
    翻到最后一页，读者才_，凶手竟是管家。
    津津有味
    {who}把一大碗面吃得_。
    爷爷讲起{place}的往事，孩子们听得_。
    她坐在树下_地读着漫画，忘了时间。
    小狗啃着骨头，吃得_。
    一丝不苟
    {who}检查零件_，从来没有出过差错。
    老裁缝做衣服_，每一针都很讲究。
    抄写经文要_，一个字也不能错。
    {place}的实验员_地记录每一个数据。
    无精打采
    熬了一夜，{who}上课时_，直打瞌睡。
    太阳晒得路边的花_地垂着头。
    球队输了比赛，队员们_地走出{place}。
    生病以后小狗_，什么也不想吃。
    归心似箭
    春节临近，在{place}打工的{who}_。
    离家三年，战士们_，恨不得马上见到父母。
    听说母亲病了，他_，连夜买了车票。
    最后一门考完，同学们_，行李早已收好。
    供不应求
    天气突然变热，{place}的空调_。
    这款玩具一上市就_，工厂只好加班生产。
    {who}做的月饼_，每天都要预订。
    节前火车票_，刚放出来就被抢光。
"""
"""An idiom, then four sentences with `_` in its place; the last of them is kept from train."""

WORDS = {
    "who": "小陈 老周 阿敏 林师傅 王医生 表哥 赵经理 班长 何老师 姐姐 小胖 大刘",
    "place": "青石镇 云山县 海湾市 北岭 南河村 新桥区 柳林 白鹭岛 松江湾 石门乡 东湖 沙溪",
}
NEWS = """
    本报记者从{place2}发回报道，
    据当地媒体消息，
    昨天上午，{place2}下起了小雨。
    {who2}在采访中告诉记者：
    近日，一段视频在网上流传。
    说起这件事，{who2}笑了笑。
    截至发稿时，有关方面没有回应。
    事情要从上个月说起。
"""
TAIL = """
    这件事很快在{place2}传开了，网友纷纷留言
    {who2}对此表示，今后还会继续关注
    更多的细节，请看明天的报道
    有人赞成，也有人提出了不同的看法
    对于这样的结果，{who2}并不觉得意外
"""
"""What stands around the sentence with the blank in FewCLUE's rows, which are cut off with an ellipsis."""

LINES = {"train": 300, "dev": 60, "test1.0": 25, "test1.1": 20}
CANDIDATES, PASSAGES = 10, (2, 4, 5, 5)
FEW_ROWS = {"train_few_all": 202, "dev_few_all": 120, "test_public": 100, "test": 40}
FEW_CANDIDATES = 7
FIRST_TAGS = {"train": 0, "dev": 5000, "test1.0": 7000, "test1.1": 8000}
WRONG_SHARE = 0.02
"""How often a train answer is a wrong candidate: nobody reaches 100 %."""


def bank() -> dict[str, list[str]]:
    """Idiom -> its sentences."""
    found: dict[str, list[str]] = {}
    rows = lines(IDIOMS)
    for start in range(0, len(rows), 5):
        found[rows[start]] = rows[start + 1 : start + 5]
    return found


def sentence(idiom: str, blank: str, dice: Dice, split: str) -> str:
    """A sentence for the idiom with `blank` in its place."""
    template = draw(dice, bank()[idiom], split)
    return Lexicon(WORDS).fill(template, dice, split).text.replace("_", blank)


def group(number: int, first: int, dice: Dice, split: str) -> tuple[Record, dict[str, int]]:
    """A line of ChID's form, its tags numbered from `first`, and its answers."""
    candidates = dice.some(list(bank()), CANDIDATES)
    content: list[str] = []
    answers: dict[str, int] = {}
    for index in dice.some(range(CANDIDATES), dice.pick(PASSAGES)):
        tag = f"#idiom{first + len(answers):06d}#"
        text = sentence(candidates[index], tag, dice, split)
        if content and dice.chance(0.2):
            content[-1] += text  # now and then two blanks share a passage
        else:
            content.append(text)
        wrong = split == "train" and dice.chance(WRONG_SHARE)
        answers[tag] = (index + 1) % CANDIDATES if wrong else index
    return {"groupId": number, "candidates": candidates, "content": content}, answers


def generate(dice: Dice) -> Files:
    """The official files of ChID: lines, and beside train and dev an object of answers."""
    files: dict[str, list[Record] | str] = {}
    for split, amount in LINES.items():
        rows: list[Record] = []
        answers: dict[str, int] = {}
        for number in range(amount):
            row, found = group(number, FIRST_TAGS[split] + len(answers), dice, split)
            rows.append(row)
            answers |= found
        files[f"{split}.json"] = rows
        if split in ("train", "dev"):
            files[f"{split}_answer.json"] = json.dumps(answers)
    return files


def few_row(dice: Dice, split: str) -> Record:
    """A row of FewCLUE's form without its id."""
    candidates = dice.some(list(bank()), FEW_CANDIDATES)
    answer = dice.below(FEW_CANDIDATES)
    lexicon = Lexicon({**WORDS})
    around = [lexicon.fill(draw(dice, lines(some), split), dice, split).text for some in (NEWS, TAIL)]
    content = around[0] + sentence(candidates[answer], "#idiom#", dice, split) + around[1] + "..."
    return {"candidates": candidates, "content": content, "answer": answer}


def generate_few(dice: Dice) -> Files:
    """The official files of FewCLUE's chid that the task reads."""
    unrepeated, files = Unrepeated(), {}
    first = 0
    for name, amount in FEW_ROWS.items():
        split = name.split("_")[0]
        made = [
            unrepeated.take(lambda split=split: few_row(dice, split), lambda row: row["content"])  # type: ignore[misc]
            for _ in range(amount)
        ]
        # Ids differ over all files and are no row numbers, as in the official ones.
        rows: list[Record] = [{"id": first + 3 * n} | row for n, row in enumerate(made)]
        first += 1000
        if name == "test":
            for row in rows:
                del row["answer"]
        files[f"{name}.json"] = rows
    return files
