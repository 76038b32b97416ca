"""Premise and hypothesis in the manner of translated English: talk, letters, reports, tales; frames and rows."""

from __future__ import annotations

from functools import partial

from tasks.samples.grammar import Dice, Files, Lexicon, Record, Unrepeated, draw, numbered
from tasks.samples.names import NAMES
from tasks.samples.nli import LABELS, Pair, frames, pairs

WORDS = NAMES | {
    "hero": "约翰 玛丽 汉森先生 艾伦 莉迪亚 船长 罗伊 布朗太太 文森特 老皮特 埃玛 那位律师",
    "month": "一月 三月 五月 六月 八月 九月 十一月 十二月",
    "day": "星期一 星期二 星期四 星期六 星期天 圣诞节 新年那天",
    "fruit": "苹果 梨 橙子 樱桃 葡萄 桃子",
    "animal": "狗 猫 马 鹦鹉 山羊 兔子",
    "agency": "环境署 邮政管理局 审计署 退休金委员会 铁路公司 法律援助中心 教育委员会",
    "topic": "水费 邮资 退休金 空气质量 学校午餐 铁路安全 医疗补助",
    "meal": "早餐 午餐 晚饭 夜宵 下午茶",
    "sport": "高尔夫 网球 棒球 乒乓球 羽毛球 保龄球",
    "building": "教堂 博物馆 旧城堡 市政厅 灯塔 图书馆 剧院",
    "vehicle": "火车 渡船 长途汽车 马车 飞机",
    "weather": "下着雨 刮着大风 下着雪 起了大雾",
    "room": "厨房 书房 地下室 客厅 阁楼",
    "tool": "猎枪 手杖 煤油灯 雨伞 望远镜",
}

FRAMES = """
P: {hero}在{day}之前就把报告交上去了，一共写了{n}十页。 | 嗯，我记得{hero}{day}以前就交了报告，大概{n}十页吧。
E: {hero}已经交了报告。 | 报告不是空的，{hero}写了好几十页。 | 到{day}的时候，{hero}的报告已经交了。
N: {hero}的报告得到了上司的表扬。 | {hero}为了写报告熬了好几个夜。 | 报告是关于{topic}的。
C: {hero}直到{day}之后才交报告。 | {hero}从来没有交过报告。 | {hero}的报告不到一页。

P: {agency}去年收到了{n}千多封关于{topic}的投诉信。 | 关于{topic}，{agency}一年之内收到的来信超过{n}千封。
E: 有人就{topic}向{agency}写过信。 | {agency}收到的来信不止{less}千封。 | {topic}引起了一些人的不满。
N: {agency}因为这些信更换了负责人。 | 大部分来信是退休老人写的。 | {agency}今年收到的信会更多。
C: 没有人给{agency}写信谈{topic}。 | {agency}收到的来信不到{less}千封。 | {agency}去年一封信也没有收到。

P: 是的，我有{n}个孩子，最小的那个今年刚上小学。 | 我们家有{n}个孩子，嗯，最小的才刚刚进小学。
E: 我不止有{less}个孩子。 | 我有一个上小学的孩子。 | 我是有孩子的人。
N: 我的孩子们都喜欢{sport}。 | 我最大的孩子住在{city}。 | 我们打算再要一个孩子。
C: 我没有孩子。 | 我只有{less}个孩子。 | 我的孩子们全都大学毕业了。

P: 这座{building}建于两百年前，从那以后一直对公众开放。 | {city}的{building}有两百年历史了，任何人都可以进去参观。
E: 这座{building}是很久以前建的。 | 人们可以进{building}参观。 | {building}不是新建的。
N: {building}每年接待上万名外国游客。 | {building}是由一位有名的建筑师设计的。 | 参观{building}要花不少钱。
C: {building}是去年才完工的。 | {building}从不让外人进去。 | 公众没有机会看到{building}的里面。

P: {hero}在市场上买了{fruit}和{fruit2}，但是没有买面包。 | {hero}从集市回来，篮子里只有{fruit}和{fruit2}。
E: {hero}买了水果。 | {hero}去过市场。 | {hero}买的东西里有{fruit}。
N: {hero}打算用{fruit}做一个馅饼。 | {hero}觉得{fruit2}太贵了。 | {hero}把{fruit}送给了邻居。
C: {hero}什么水果都没有买。 | {hero}只买了面包。 | {hero}没有买到{fruit}。

P: 我不太喜欢{sport}，不过我丈夫每个周末都去打。 | 嗯，{sport}嘛，我丈夫周末总要去玩，我自己不怎么喜欢。
E: 我丈夫经常玩{sport}。 | 我和丈夫对{sport}的看法不一样。 | 我结婚了。
N: 我丈夫的{sport}水平很高。 | 我更喜欢{sport2}。 | 我丈夫是从他父亲那里学会{sport}的。
C: 我丈夫从不碰{sport}。 | {sport}是我最喜欢的运动。 | 我们夫妻俩都讨厌{sport}。

P: {hero}点亮了{tool}旁边的蜡烛，{room}里顿时亮了起来。 | 蜡烛点着了，{hero}看清了{room}里的一切，包括那件{tool}。
E: {room}里有光。 | {hero}在{room}里。 | {room}里有一样{tool}。
N: {hero}是来{room}里找信的。 | {room}里藏着一个人。 | {tool}是{hero}的父亲留下的。
C: {room}里一片漆黑。 | {hero}把蜡烛吹灭了。 | {hero}始终没有走进{room}。

P: 只要多花{n}美元，游客就可以乘{vehicle}到岛上去。 | 上岛的{vehicle}票价是{n}美元，每天两班。
E: 有{vehicle}可以去岛上。 | 去岛上不是免费的。 | 乘{vehicle}上岛花不了{more}美元。
N: 岛上有一家很好的餐馆。 | 大多数游客选择在岛上过夜。 | {vehicle}上可以看到海豚。
C: 游客没有办法到岛上去。 | 乘{vehicle}上岛是免费的。 | 上岛的{vehicle}票至少要{more}美元。

P: 尽管外面{weather}，{hero}还是准时到了{building}。 | 外面{weather}，可是{hero}没有迟到，准点走进了{building}。
E: {hero}到了{building}。 | 天气并不好。 | {hero}没有迟到。
N: {hero}是坐{vehicle}来的。 | {hero}约了人在{building}见面。 | {hero}的衣服全湿透了。
C: {hero}因为天气没能到{building}。 | 外面阳光明媚。 | {hero}迟到了一个小时。

P: 这份报告建议{agency}在{month}以前提高{topic}的标准。 | 报告的结论是，{agency}应当在{month}前把{topic}的标准提高。
E: 报告提到了{topic}。 | 报告认为{topic}现在的标准不够高。 | 有人对{agency}提出了建议。
N: {agency}接受了报告的建议。 | 这份报告花费了{n}万美元。 | 报告的作者曾经在{agency}工作。
C: 报告认为{topic}的标准太高了。 | 报告没有提出任何建议。 | 报告要求{agency}降低标准。

P: {hero}养了{n}只{animal}，全都是白色的。 | 在{hero}家里有{n}只{animal}，没有一只不是白的。
E: {hero}有宠物。 | {hero}家的{animal}是白色的。 | {hero}养的{animal}比{less}只多。
N: {hero}的{animal}会听口令。 | {hero}从小就喜欢{animal}。 | {hero}还想养一只{animal2}。
C: {hero}家有一只黑{animal}。 | {hero}从来没有养过动物。 | {hero}只养了{less}只{animal}。

P: 所有的学生都通过了考试，只有{hero}除外。 | 考试的结果出来了，除了{hero}，人人都及格了。
E: {hero}没有通过考试。 | 大部分学生及格了。 | 有学生通过了考试。
N: {hero}因为生病没有好好准备。 | 这次考试比去年容易。 | {hero}明年还会再考一次。
C: {hero}通过了考试。 | 没有一个学生及格。 | 所有人都考砸了。

P: {hero}低声说：“我从来没有去过{city}，但我哥哥住在那里。” | “我哥哥就住在{city}，可惜我没有去过。”{hero}小声说。
E: {hero}的哥哥住在{city}。 | {hero}有兄弟。 | {hero}没到过{city}。
N: {hero}明年打算去{city}看哥哥。 | {hero}和哥哥关系不好。 | {hero}的哥哥在{city}当医生。
C: {hero}在{city}住过很多年。 | {hero}是独生子。 | {hero}大声喊了起来。

P: 旅馆离海边只有{n}分钟的路，房间不大，但是很干净。 | 房间小而干净，走{n}分钟就到海边，这就是那家旅馆。
E: 旅馆在海边附近。 | 旅馆的房间是干净的。 | 从旅馆走到海边用不了{more}分钟。
N: 旅馆的{meal}很好吃。 | 旅馆是一对老夫妇开的。 | 夏天要提前一个月才能订到房间。
C: 旅馆离海边很远。 | 旅馆的房间又大又脏。 | 从旅馆到海边至少要走{more}分钟。

P: {hero}以前抽烟，{n}年前戒掉了。 | 嗯，{hero}已经{n}年没抽烟了，以前抽得很凶。
E: {hero}现在不抽烟。 | {hero}曾经抽烟。 | {hero}戒烟的时间不止{less}年。
N: {hero}是听了医生的话才戒烟的。 | {hero}戒烟以后胖了许多。 | {hero}的妻子也戒了烟。
C: {hero}现在还在抽烟。 | {hero}一辈子没有碰过烟。 | {hero}上个月才开始抽烟。

P: 虽然价格上涨了，{agency}仍然保留了{topic}的优惠。 | {agency}没有取消{topic}优惠，尽管价格涨了不少。
E: {topic}的优惠还在。 | 价格比以前高了。 | {agency}没有取消优惠。
N: {agency}明年会取消优惠。 | 优惠只给老年人。 | 价格上涨是因为燃料短缺。
C: {agency}取消了{topic}的优惠。 | 价格下降了。 | {topic}从来没有过优惠。

P: {hero}打开{room}的门，发现里面一个人也没有。 | {room}的门开了，{hero}朝里看了看，空无一人。
E: {room}里没有人。 | {hero}看了{room}里面。 | {room}有一扇门。
N: {hero}在找自己的妹妹。 | {room}里的人刚刚从窗户离开。 | {hero}觉得很害怕。
C: {room}里挤满了人。 | {hero}打不开{room}的门。 | {hero}看到{n}个人坐在{room}里。

P: 我每天{meal}以后散步半小时，{weather}的日子也不例外。 | 就算{weather}，我{meal}以后也要走上半个小时。
E: 我每天都散步。 | 天气不好的时候我也散步。 | 我吃{meal}。
N: 散步让我睡得更好。 | 我散步的时候带着{animal}。 | 我妻子和我一起散步。
C: 我从来不散步。 | {weather}的时候我就待在家里。 | 我只在{meal}以前散步。

P: {country}是这一地区最大的国家，人口却最少。 | 在这一带，{country}面积最大，人口最少。
E: {country}的人口不多。 | 这一地区没有比{country}更大的国家。 | 这一地区还有别的国家。
N: {country}的大部分土地是沙漠。 | {country}的人说两种语言。 | {country}的人口正在增加。
C: {country}是这一地区最小的国家。 | {country}的人口比邻国都多。 | 这一地区只有{country}一个国家。

P: {hero}没有等{hero2}，一个人先坐{vehicle}走了。 | {hero}先走了，坐的是{vehicle}，没有和{hero2}一起。
E: {hero}和{hero2}没有一起走。 | {hero}坐了{vehicle}。 | {hero}比{hero2}走得早。
N: {hero}生{hero2}的气了。 | {hero2}后来坐了下一班{vehicle}。 | {hero}要去{city}。
C: {hero}和{hero2}一起坐了{vehicle}。 | {hero2}比{hero}先走。 | {hero}一直等到{hero2}来。

P: 我们的志愿者当中，{n}成以上是退休的老师。 | 志愿者里面超过{n}成的人以前是老师，现在退休了。
E: 有些志愿者当过老师。 | 我们有志愿者。 | 志愿者里不全是年轻人。
N: 志愿者每周工作两天。 | {hero}是我们最好的志愿者。 | 志愿者们希望得到交通补贴。
C: 没有一个志愿者当过老师。 | 我们没有志愿者。 | 志愿者全都是中学生。

P: {hero}把信读了{n}遍，然后扔进了火里。 | 读了{n}遍之后，{hero}烧掉了那封信。
E: 信被烧掉了。 | {hero}读过那封信。 | 信读了不止{less}遍。
N: 信是{hero2}写来的。 | 信里说的是一笔遗产。 | {hero}一边烧信一边流泪。
C: {hero}把信好好地保存了起来。 | {hero}没有读信就把它烧了。 | {hero}把信寄给了{hero2}。

P: {month}里，{building}要关闭修理，{month2}重新开放。 | {building}{month}闭馆整修，要到{month2}才再开放。
E: {building}需要修理。 | {month}不能参观{building}。 | {building}会重新开放。
N: 修理费用由{agency}承担。 | {building}的屋顶漏水。 | 重新开放以后票价会提高。
C: {building}{month}照常开放。 | {building}永远关闭了。 | {building}不需要修理。

P: {hero}会说{n}种语言，却不会游泳。 | 不会游泳的{hero}能讲{n}种语言。
E: {hero}不会游泳。 | {hero}会说的语言不止{less}种。 | {hero}懂外语。
N: {hero}小时候掉进过河里。 | {hero}是一名翻译。 | {hero}正在学习游泳。
C: {hero}是游泳好手。 | {hero}只会说一种语言。 | {hero}会说的语言不到{less}种。
"""

ROWS = {"train.json": 540, "dev.json": 165, "test.json": 75}
MISLABELLED = 0.03


def generate(dice: Dice) -> Files:
    """The three official files; dev and test hold some frames and words that train has not."""
    every, lexicon, unrepeated, files = frames(FRAMES), Lexicon(WORDS), Unrepeated(), {}

    def one(label: str, split: str) -> Pair:
        made = pairs(draw(dice, every, split), lexicon, dice, split)
        return next(pair for pair in made if pair.label == label)

    labels = list(LABELS.values())
    for file, amount in ROWS.items():
        split = file.split(".")[0]
        rows: list[Record] = []
        for number in range(amount):
            label = labels[number % 3]
            pair = unrepeated.take(partial(one, label, split), lambda pair: pair[:2])
            shown = dice.pick(labels) if dice.chance(MISLABELLED) else label
            rows.append({"sentence1": pair.premise, "sentence2": pair.hypothesis, "label": shown})
        files[file] = dice.shuffled(rows)
    files["test.json"] = numbered(files["test.json"])
    return files
