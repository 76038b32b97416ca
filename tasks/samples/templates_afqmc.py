"""Pairs of customers' questions about lending and paying by instalments: do they ask the same thing?"""

from __future__ import annotations

from functools import partial

from tasks.samples.grammar import Dice, Files, Lexicon, Record, Unrepeated, draw, known, lines, numbered

INTENTS = """
    {p}怎么开通|如何开通{p}|我想开通{p}，要怎么操作|开通{p}需要哪些步骤|在哪里可以开{p}|{p}从哪儿申请开通
    为什么我开通不了{p}|{p}一直开通不了是什么原因|开{p}总提示不符合条件|我怎么没法开通{p}|申请{p}为何被拒|{p}审核不通过怎么回事
    {p}怎么关闭|如何注销{p}|我不想用{p}了，怎么关掉|{p}可以取消吗，在哪里取消|怎样把{p}关了|关闭{p}的方法
    {p}额度怎么提升|如何提高{p}的额度|怎样才能让{p}多给点额度|{p}想提额该怎么做|{p}额度太低，能调高吗|怎么样增加{p}额度
    {p}额度为什么降了|我的{p}额度怎么变少了|{p}的额度被调低是什么原因|上个月{p}还有***，现在额度少了|为何下调我的{p}额度|{p}额度突然减少了怎么回事
    {p}临时额度什么时候到期|{p}的临时额度能用多久|临时额度几号失效，{p}里看不到|{p}临时额度的有效期|我的{p}临时额度哪天过期|{p}临时额度还剩几天
    {p}哪天还款|{p}的还款日是几号|每个月几号要还{p}|{p}什么时候还钱|{p}还款时间是哪一天|几号之前要把{p}还上
    {p}可以修改还款日吗|怎么更改{p}的还款日期|{p}还款日能不能改成发工资那天|想把{p}还款日往后调|如何调整{p}的还款日|{p}的还款日期怎么变更
    {p}可以提前还吗|怎么提前还清{p}|{p}能不能一次性提前结清|{p}提前还款在哪操作|我想现在就把{p}全部还掉|没到还款日，{p}能先还吗
    {p}提前还款要手续费吗|提前还{p}收不收费|{p}提前结清会不会扣违约金|早点还{p}要另外收钱吗|提前把{p}还了，有没有手续费|{p}提前还完还扣费用吗
    {p}逾期一天会怎么样|{p}晚还一天有影响吗|忘记还{p}了，过了一天要紧吗|{p}超过还款日一天怎么算|{p}迟还***天有什么后果|没按时还{p}会有什么问题
    {p}逾期会上征信吗|用{p}影响征信吗|{p}记录会不会报到征信系统|没还{p}会不会上征信|{p}上不上征信|征信报告里能查到{p}吗
    {p}的利息怎么算|{p}一天利息是多少|借***元{p}，利息要多少|{p}利率是多少|用{p}一个月收多少利息|{p}利息的计算方法
    {p}为什么多扣了利息|{p}这个月利息怎么比上个月多|我的{p}利息算错了吧|多收了我{p}利息怎么退|{p}利息对不上|{p}怎么扣了两次利息
    {p}可以分期吗|{p}账单怎么分期还|如何办理{p}分期|{p}能不能分***期还|{p}这个月还不上，想分几期|{p}在哪里申请账单分期
    {p}分期手续费多少|{p}分***期要多少手续费|{p}账单分期怎么收费|{p}分期一期扣多少钱|分期还{p}的费率是多少|{p}分期贵不贵，怎么收
    {p}最低还款是什么意思|{p}只还最低可以吗|{p}的最低还款额怎么算|{p}能先还最低吗|还了{p}最低还款，剩下的怎么办|{p}最低要还多少
    {p}还款失败怎么办|{p}还不进去|为什么{p}一直提示还款失败|我还{p}怎么还不了|{p}点了还款没反应|{p}还款不成功是怎么回事
    {p}自动还款怎么设置|如何开通{p}自动扣款|{p}能不能到期自动扣|想让{p}每月自动还|{p}自动还款在哪里打开|怎样给{p}设自动还款
    {p}自动扣款从哪张卡扣|{p}自动还款扣的是哪里的钱|{p}到期扣余额还是扣银行卡|{p}的扣款顺序是什么|{p}自动还先扣哪个账户|{p}还款优先扣哪张卡
    {p}怎么换绑银行卡|{p}更换还款银行卡|如何修改{p}绑定的银行卡|{p}能换一张卡还款吗|{p}旧卡注销了，怎么绑新卡|想把{p}的卡换成别的
    {p}手机号换了怎么改|{p}绑定的手机号怎么更换|原来的号码不用了，{p}如何改手机|{p}换手机号码在哪里操作|修改{p}预留手机号|{p}登记的电话怎么变更
    {p}借款多久到账|{p}借的钱什么时候能到|{p}提现后几天到卡|{p}放款要多长时间|申请了{p}，钱几点能到账|{p}到账时间是多久
    {p}借款为什么还没到账|{p}显示成功但是没收到钱|我借了{p}，银行卡里没有钱|{p}放款成功却查不到入账|{p}的钱怎么一直不到账|借{p}***元到现在都没到
    {p}最多可以借多少|{p}最高额度是多少|用{p}一次能借几万|{p}上限是多少钱|{p}最多给***额度吗|{p}能借的最大金额
    {p}可以提现吗|{p}额度能不能取出来|怎么把{p}里的钱转到银行卡|{p}能变成现金吗|如何将{p}额度提现|{p}的钱能转出来用吗
    {p}哪些商家可以用|{p}能在什么地方消费|支持{p}付款的店有哪些|{p}可以在超市用吗|哪里能刷{p}|{p}线下哪家店能用
    付款时为什么不能选{p}|付钱的时候没有{p}选项|{p}付款不支持怎么回事|买东西用不了{p}|结账页面找不到{p}|{p}为什么不能支付这笔订单
    退款退到{p}哪里了|用{p}买的东西退货，钱退到哪|{p}付款的订单退款后怎么看|退款会回到{p}额度吗|商家退了钱，{p}里没显示|{p}支付的钱退回哪个账户
    退款之后{p}还要还吗|东西退了，{p}账单还需要还款吗|{p}退货后为什么账单还在|已经退款的订单{p}怎么还让我还|退了款{p}还收利息吗|{p}买的退了还用还不
    {p}账单在哪里看|怎么查{p}的账单|{p}本月要还多少在哪查|如何查看{p}消费明细|{p}的账单明细在什么地方|想看上个月的{p}账单
    {p}账单几号出|{p}出账日是哪天|每月{p}什么时候出账单|{p}的账单日是几号|{p}账单一般几号生成|{p}这个月账单怎么还没出
    {p}优惠券怎么用|{p}的红包在哪里使用|领了{p}优惠券为什么不能抵扣|{p}免息券如何使用|{p}的券付款时怎么选|怎么用掉{p}的红包
    {p}免息券在哪里领|如何领取{p}的优惠券|{p}红包从哪儿领|{p}有什么活动可以领券|怎样获得{p}免息券|{p}的券去哪里拿
    {p}客服电话是多少|怎么联系{p}人工客服|{p}转人工打哪个号码|{p}有没有人工服务|想找{p}的客服投诉|{p}客服怎么打不通
    {p}密码忘了怎么办|忘记{p}支付密码如何找回|{p}密码怎么重置|{p}的密码想不起来了|{p}修改密码在哪里|{p}密码输错被锁了
    {p}账号被冻结怎么解冻|{p}为什么被冻结了|{p}显示账户异常，怎么恢复|我的{p}被限制使用|{p}被封了怎样解除|怎么解除{p}的冻结
    别人用我的身份开了{p}怎么办|{p}被盗刷了|{p}有一笔消费不是我花的|我的{p}好像被别人用了|{p}出现陌生借款怎么处理|{p}账户被盗如何追回
    {p}合同在哪里看|怎么下载{p}的借款合同|{p}的电子合同从哪儿找|{p}借款协议怎么查看|我要打印{p}合同|{p}贷款合同能导出吗
    {p}结清证明怎么开|还清{p}后如何开证明|{p}的结清证明在哪里申请|想要{p}还清的凭证|{p}能不能出具结清证明|开{p}贷款结清单怎么弄
    """

PRODUCTS = "禾信付 谷雨借 云朵月付 松果钱包 小舟贷 蓝莓信用"

POLITE = ["请问", "你好，", "我想问一下，", "麻烦问下", "亲，", "咨询下，"]
TAILS = ["，谢谢", "？", "呢", "啊", "，急", "，在线等", "？？"]

REWORDED = {
    "怎么": "如何", "为什么": "为啥", "可以": "能", "什么时候": "何时", "在哪里": "在哪",
    "我想": "想要", "不了": "不成", "手续费": "服务费", "怎么办": "咋办",
}  # fmt: skip
"""Light changes of wording that keep the meaning."""

SAME_SHARE = 0.36
MISLABELLED = 0.02
ROWS = {"train.json": 600, "dev.json": 180, "test.json": 90}


def questions(dice: Dice, number: int, split: str) -> tuple[str, str]:
    """Two different wordings of intent `number`."""
    wordings = lines(INTENTS)[number].split("|")
    first = draw(dice, wordings, split)
    if dice.chance(0.3):
        return first, reworded(first, dice)
    second = first
    while second == first:
        second = draw(dice, wordings, split)
    return first, second


def reworded(question: str, dice: Dice) -> str:
    """The question with its common words exchanged, and a polite opening where that changed nothing."""
    changed = question
    for old, new in REWORDED.items():
        if old in changed and dice.chance(0.8):
            changed = changed.replace(old, new, 1)
    return changed if changed != question else dice.pick(POLITE) + question


def dressed(question: str, dice: Dice) -> str:
    """The question as people type it: sometimes with an opening or a tail."""
    if dice.chance(0.12) and not question.startswith(tuple(POLITE)):
        question = dice.pick(POLITE) + question
    return question + dice.pick(TAILS) if dice.chance(0.2) else question


def pair(dice: Dice, split: str, same: bool) -> Record:
    """One row: the same intent and product ("1"), else another intent, often a neighbouring one, or another product."""
    total, products = len(lines(INTENTS)), PRODUCTS.split()
    number, product = dice.below(total), draw(dice, products, split)
    other_product = product
    first, second = questions(dice, number, split)
    if not same:
        draw_at = dice.below(100)
        if draw_at < 12:
            other_product = dice.pick([name for name in known(products) if name != product])
        else:
            step = dice.pick((1, -1)) if draw_at < 45 else 2 + dice.below(total - 3)
            second = questions(dice, (number + step) % total, split)[1]
    lexicon = Lexicon({})
    texts = [
        lexicon.fill(dressed(text, dice), dice, split, {"p": name}).text
        for text, name in ((first, product), (second, other_product))
    ]
    label = same != dice.chance(MISLABELLED)
    return {"sentence1": texts[0], "sentence2": texts[1], "label": "1" if label else "0"}


def generate(dice: Dice) -> Files:
    """The three official files; dev and test hold some wordings, and products, that train has not."""
    unrepeated, files = Unrepeated(), {}
    for file, amount in ROWS.items():
        split = file.split(".")[0]
        wanted = dice.shuffled([number < round(SAME_SHARE * amount) for number in range(amount)])
        files[file] = [
            unrepeated.take(partial(pair, dice, split, same), lambda row: (row["sentence1"], row["sentence2"]))
            for same in wanted
        ]
    files["test.json"] = numbered(files["test.json"])
    return files
