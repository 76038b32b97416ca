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
    画蛇添足
    文章到这里已经很完整，最后一段实在是_。
    {who}在设计图上又加了一圈花边，反而_，失去了原来的简洁。
    菜已经很鲜，再放味精就是_了。
    广告词本来很好，{who}硬要多加一句，真是_。
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
    破釜沉舟
    比赛只剩最后一场，教练决定_，把主力全部派上。
    {who}卖掉房子_，把全部积蓄投进了{place}的新厂。
    退路已经没有了，队员们_，决心拼到底。
    他辞去工作准备考试，颇有_的决心。
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
    守株待兔
    生意要主动去跑，不能坐在店里_。
    警方在{place}_，等小偷再来时把他抓住。
    {who}不去找工作，天天在家_，等别人来请。
    不做准备只盼运气，这种_的办法早晚要失败。
    五花八门
    庙会上的小吃_，{who}每样都想尝一口。
    网上的减肥方法_，真假难辨。
    {place}的纪念品_，从木雕到风筝什么都有。
    骗子的手段_，老人要格外小心。
    愚公移山
    {place}的村民以_的精神，用十年时间凿通了大山。
    靠着_的毅力，{who}一铲一铲挖出了这条水渠。
    治理沙漠要有_的劲头，一代人接着一代人干。
    修路虽难，只要大家有_的恒心，石头再多也能搬完。
    胸有成竹
    {who}早就背熟了台词，_地走上舞台。
    复习得很充分，考试那天她显得_。
    面对记者的提问，{who}_，一一作答。
    教练对明天的战术_，一点也不紧张。
    自相矛盾
    {who}先说没去过{place}，后来又说在那里住过，说法_。
    报告前后两组数字_，需要重新核对。
    证人的话_，法官没有采信。
    一边说要环保，一边乱扔垃圾，这不是_吗？
    废寝忘食
    为了赶出图纸，{who}_地工作了三天。
    他迷上了小说，_，连饭都忘了吃。
    科研人员_，终于在{place}完成了试验。
    孩子_地玩游戏，父母十分担心。
    恍然大悟
    听了{who}的解释，大家这才_。
    看到谜底，孩子们_，原来答案这么简单。
    想了一夜的难题，被{who}一句话点破，他_。
    翻到最后一页，读者才_，凶手竟是管家。
    焦头烂额
    订单出错，投诉不断，{who}被弄得_。
    债主天天上门，老板_，不知道怎么办。
    航班取消，旅客滞留{place}，客服人员忙得_。
    家里漏水，单位催稿，这几天我真是_。
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
    络绎不绝
    春天一到，去{place}赏花的游客_。
    前来报名的人_，{who}登记了一上午。
    桥上车辆_，从早到晚没有停过。
    听说有免费的电影，附近的居民_地赶来。
    大同小异
    两家的套餐_，价格也差不多。
    {place}各个古镇的小店_，逛多了就没有新鲜感。
    这几份方案_，{who}只好抽签决定。
    双胞胎的书包_，只是颜色有点区别。
    狼吞虎咽
    饿了一天，{who}_地吃下三个馒头。
    别_的，慢慢吃，小心烫着。
    孩子们放学回来，_地把饭菜一扫而光。
    在{place}跑完长跑，他端起盘子就_起来。
    百发百中
    {who}练了十年射箭，如今_。
    队长的三分球_，对手毫无办法。
    传说那位{place}的猎人枪法极准，_。
    她投飞镖_，每一支都正中红心。
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
    一目了然
    用图表来说明，变化趋势_。
    {who}把价格写在牌子上，顾客_。
    站在{place}的山顶，整座城市_。
    说明书配了插图，怎么安装_。
    半信半疑
    听说{place}有恐龙，{who}_。
    他_地接过那瓶神药，还是没有敢喝。
    消息来得太突然，大家都_，想等官方公布。
    对算命先生的话她_，回家查了半天资料。
    勤能补拙
    {who}相信_，每天比别人多练一小时。
    基础不好没关系，_，多做题就会进步。
    教练常说_，天赋差一点也能进{place}的球队。
    他记性不好，却坚信_，单词抄了一遍又一遍。
    水落石出
    警方调查了半年，真相终于_。
    账本一查，{who}挪用公款的事就_了。
    等证据齐全，案子自然会_。
    在{place}找到监控以后，丢失的邮件_。
    滔滔不绝
    一说起足球，{who}就_，别人插不上嘴。
    导游_地介绍{place}的历史，讲了一个小时。
    推销员_，从功能一直讲到售后。
    平时安静的她，谈到昆虫竟然_。
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

LINES = {"train": 190, "dev": 60, "test1.0": 25, "test1.1": 20}
CANDIDATES, PASSAGES = 10, (2, 3, 4, 5)
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
