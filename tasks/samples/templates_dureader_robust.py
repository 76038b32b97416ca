"""Pieces of web pages (prices, plants, cooking, offices, games, health) and what people ask a search engine."""

from __future__ import annotations

from functools import partial
from typing import Any

from tasks.samples.grammar import Dice, Files, Lexicon, Unrepeated
from tasks.samples.names import NAMES
from tasks.samples.reading import Asked, Passage, answer, document, joined, kinds, passage

WORDS = NAMES | {
    "name": "",
    "amount": "35 48 60 88 120 168 199 260 320 480 650 899 1200 2680",
    "low": "2 3 4 5 6 7 8",
    "high": "9 10 12 14 15 18 20",
    "hour": "8 9 10 14 16 17 18",
    "month": "1 3 4 5 6 8 9 11 12",
    "device": "{brand}手机 {brand}电饭煲 {brand}空气净化器 {brand}路由器 {brand}洗衣机 {brand}平板 {brand}电动车",
    "model": "X3 Pro S20 Mini 2代 青春版 Max T9",
    "part": "电池 屏幕 滤芯 主板 电机 充电器 遥控器",
    "fault": "充不进电 自动关机 连不上网 显示E4 噪音很大 按键失灵",
    "remedy": "恢复出厂设置 拔掉电源等十分钟再开机 更换{part} 清洗滤网 升级系统 重新插拔内存卡",
    "plant": "多肉 绿萝 君子兰 茉莉 发财树 吊兰 月季 栀子花 铜钱草 文竹",
    "soil": "沙质土 腐叶土 园土加河沙 泥炭土 珍珠岩混合土",
    "light": "散射光 充足的阳光 半阴的环境 早晚的阳光",
    "pest": "红蜘蛛 蚜虫 介壳虫 白粉病 黑斑病",
    "spray": "多菌灵 吡虫啉 石硫合剂 稀释的洗洁精水 大蒜水",
    "dish": "红烧{meat} {veg}炒{meat} 清蒸{meat} {veg}{meat}汤 凉拌{veg} 糖醋{meat}",
    "meat": "排骨 鲫鱼 牛肉 鸡翅 虾仁 羊肉 豆腐",
    "veg": "土豆 莲藕 黄瓜 冬瓜 香菇 山药 西红柿",
    "spice": "八角 料酒 白胡椒 姜片 老抽 花椒 香叶",
    "paper": "身份证 护照 驾驶证 社保卡 营业执照 居住证 健康证 港澳通行证",
    "office": "{city}市政务大厅 {city}派出所 {city}行政服务中心 {city}车管所 {city}人社局",
    "proof": "户口本原件 两张一寸照片 单位证明 体检报告 房产证复印件 旧证件 租房合同",
    "game": "{epic}{kind}",
    "epic": "星尘 龙焰 深渊 机甲 王座 迷雾 荒野 银河",
    "kind": "纪元 大陆 传说 战记 物语 围城 远征",
    "item": "火焰剑 隐身斗篷 治疗药水 神秘宝箱 飞行坐骑 龙鳞盾 传送卷轴",
    "boss": "石像守卫 暗影女王 雪山巨人 独眼船长 机械狼王",
    "spot": "地下城第{number}层 东边的渔村 云顶神殿 废弃矿洞 沙漠驿站",
    "symptom": "头晕 牙疼 嗓子疼 失眠 腰疼 手脚发麻 消化不良 眼睛干涩",
    "reason": "睡眠不足 缺乏维生素 颈椎受压 炎症 用眼过度 饮食不规律 血压偏低 受凉",
    "care": "热敷 多喝温水 按摩太阳穴 补充B族维生素 少吃辛辣食物 每天慢走半小时",
    "tree": "{scenic}山 {scenic}湖 {scenic}古镇 {scenic}峡谷 {city}海滩 {city}动物园",
    "scenic": "卧龙 碧螺 望仙 白石 落霞 九渡 云顶 鹿鸣 月牙",
    "bus": "游{digit}路 {digit}路 旅游专线 地铁{number}号线",
}  # fmt: skip

KINDS = """
    NAME: device
    {name}{model}目前官网报价[{amount}元],比上一代便宜了{digit}元。 | {name}多少钱/{name}价格/{name}{model}官网报价
    如果{name}{fault},可以先[{remedy}],多数情况下能恢复。 | {name}{fault}怎么办/{name}{fault}怎么解决
    {name}的{part}保修期是[{number}年],人为损坏不在保修范围。 | {name}{part}保修多久/{name}的{part}保修期
    充满一次大约需要[{low}到{high}小时],不建议整夜充电。 | {name}充满电要多久/{name}充电时间
    更换{part}的费用在[{amount}元左右],要提前预约。 | {name}换{part}多少钱/{name}更换{part}费用
    {name}是[{city}{brand}科技有限公司]生产的,{month}月上市。 | {name}是哪里生产的/{name}是什么公司的

    NAME: plant
    养{name}的时候,土壤最好选[{soil}],忌积水。 | {name}用什么土/{name}适合什么土壤
    {name}喜欢[{light}],夏天中午要遮阴。 | {name}喜欢什么样的光照/{name}需要晒太阳吗
    夏季[{low}天浇一次水],冬季半个月一次就行。 | {name}几天浇一次水/{name}夏天怎么浇水
    常见的病虫害是[{pest}],喷[{spray}]就可以。 | {name}容易得什么病虫害/{name}常见病虫害 | {name}有{pest}打什么药/{name}{pest}怎么治
    {name}的花期一般在[{month}月到{month2}月],养得好一年能开两次。 | {name}什么时候开花/{name}花期
    叶子发黄多半是因为[{yellow}],要及时处理。 | {name}叶子发黄是什么原因/{name}黄叶怎么回事

    NAME: dish
    做{name}要先把主料用[{spice}和{spice2}]腌{digit}分钟。 | {name}用什么腌/做{name}怎么腌
    水开以后转小火炖[{low}到{high}分钟],收汁即可出锅。 | {name}炖多久/{name}要煮多长时间
    {name}的热量大约是每百克[{amount}大卡],减肥的人要少吃。 | {name}热量/{name}多少大卡
    想要颜色好看,关键是放[一勺{spice}],不能多。 | {name}怎么做颜色好看/{name}上色放什么
    注意{veg}不能和[{meat2}]一起吃,容易{symptom}。 | {veg}不能和什么一起吃/{veg}和什么相克
    这道菜是[{city}]的特色,当地人过年都要做。 | {name}是哪里的菜/{name}是哪里的特色

    NAME: paper
    办理{name}需要带[{proof}和{proof2}],复印件不行。 | 办{name}需要什么材料/{name}办理需要带什么
    {name}一般[{low}到{high}个工作日]可以拿到。 | 办{name}要几天/{name}多久能拿到
    办理地点在[{office}],周末不上班。 | {name}在哪里办/{name}办理地点
    工本费[{digit}元],加急另收{amount}元。 | 办{name}多少钱/{name}工本费
    {name}的有效期是[{number}年],到期前{digit}天可以换。 | {name}有效期几年/{name}有效期
    上班时间是[上午{low}点到下午{hour}点],中午不休息。 | 办{name}几点上班/{name}办理时间

    NAME: game
    {name}里的[{boss}]要到{digit}级才能打,掉落[{item}]。 | {name}{digit}级打什么 | {name}{boss}掉落什么/{name}打{boss}给什么
    {item}在[{spot}]可以拿到,记得带火把。 | {name}{item}在哪/{name}{item}怎么得
    {name}公测时间是[{month}月{digit}号],老玩家送{item}。 | {name}什么时候公测/{name}公测时间
    新手推荐选[{boss}同款职业],上手简单。 | {name}新手选什么职业好/{name}什么职业厉害
    {name}由[{brand}网络]开发,支持手机和电脑。 | {name}是哪个公司的游戏/{name}谁开发的
    升到满级大概要[{high}天],不充钱的话还要更久。 | {name}多久满级/{name}满级要几天

    NAME: symptom
    {name}多数是[{reason}]引起的,不用太担心。 | {name}是什么原因/{name}是怎么回事/为什么会{name}
    平时可以[{care}],坚持{low}周会有改善。 | {name}怎么办/{name}怎么缓解/{name}怎么治
    如果{name}超过[{low}天]还没好,建议去医院。 | {name}多久要去医院/{name}几天不好要看医生
    去医院要挂[{organ}科],检查费大概{amount}元。 | {name}挂什么科/{name}看什么科
    经常{name}的人要少吃[{veg}],多吃{veg2}。 | {name}不能吃什么/{name}忌口
    据[{city}医院{person}医生]介绍,{name}在冬天更常见。 | 谁说{name}在冬天更常见

    NAME: tree
    {name}门票[{amount}元]一张,学生半价。 | {name}门票多少钱/{name}门票价格
    开放时间[{low}点到{hour}点],逢周一闭园。 | {name}开放时间/{name}几点开门
    从火车站坐[{bus}]可以直达{name}。 | {name}怎么去/去{name}坐什么车
    最佳游玩时间是[{month}月到{month2}月],人少景美。 | {name}什么时候去最好/{name}最佳旅游时间
    {name}位于[{city}市郊区{digit}公里处],自驾也方便。 | {name}在哪里/{name}在什么地方
    附近推荐住[{brand}客栈],一晚{amount}元。 | {name}附近住哪里/{name}住宿推荐
    """  # noqa: E501

MORE = {
    "yellow": "浇水过多 光照不足 缺少铁元素 通风不好 烂根",
    "organ": "神经内 口腔 耳鼻喉 骨 消化内 眼 心血管内",
}

ROWS = {"train.json": 380, "dev.json": 150, "test.json": 70}
LONG = 0.1
"""How often a page lists four things of a kind."""


def page(dice: Dice, split: str) -> Passage:
    """A piece of a page about one thing, or a longer list."""
    lexicon, kind = Lexicon(WORDS | MORE), dice.pick(kinds(KINDS))
    if not dice.chance(LONG):
        return passage(kind, lexicon, dice, split, 2 + dice.below(4))
    return joined([passage(kind, lexicon, dice, split, 6) for _ in range(4)])


def answers(text: Passage, asked: Asked, file: str, dice: Dice) -> list[dict[str, Any]]:
    """One answer with its place in train; in dev one to three, their places unknown; none in test."""
    one = answer(text, asked)
    if file != "dev.json":
        return [one]
    found = [one["text"]]
    if dice.chance(0.3):
        found.append(text.text[asked.start : asked.end + 1])
    if dice.chance(0.1) and asked.end - asked.start > 3:
        found.append(text.text[asked.start : asked.end - 1])
    return [{"text": each, "answer_start": -1} for each in found]


def generate(dice: Dice) -> Files:
    """The three files, each one entry of `data` with a paragraph a question."""
    unrepeated, files = Unrepeated(), {}
    for file, amount in ROWS.items():
        drawn = "train" if file == "train.json" else "dev"
        paragraphs: list[dict[str, Any]] = []
        for _ in range(amount):
            text = unrepeated.take(partial(page, dice, drawn), lambda found: found.text)
            asked = dice.pick(text.asked)
            identity = "".join("0123456789abcdef"[dice.below(16)] for _ in range(32))
            question: dict[str, Any] = {"question": asked.question, "id": identity}
            if file != "test.json":
                question["answers"] = answers(text, asked, file, dice)
            paragraphs.append({"context": text.text, "qas": [question]})
        if file == "dev.json":  # as one answer of the real dev
            paragraphs[7]["qas"][0]["answers"] = [{"text": "", "answer_start": -1}]
        files[file] = document({"data": [{"paragraphs": paragraphs, "title": ""}]}, indent=1)
    return files
