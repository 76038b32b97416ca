"""Paragraphs as an encyclopaedia has them, about invented places, people, firms and works, with questions on them."""

from __future__ import annotations

from functools import partial
from typing import Any

from tasks.samples.grammar import Dice, Files, Lexicon, Unrepeated
from tasks.samples.names import NAMES
from tasks.samples.reading import Asked, Passage, answer, document, joined, kinds, passage

WORDS = NAMES | {
    "name": "",
    "province": "江苏省 云南省 四川省 河北省 福建省 甘肃省 湖南省 浙江省 贵州省 吉林省",
    "side": "东部 西部 南部 北部 中部 东南部 西北部",
    "year": ["{century}{decade}{unit}年"],
    "century": "18 19",
    "born": ["18{decade}{unit}年"],
    "died": ["19{decade}{unit}年"],
    "decade": "0 1 2 3 4 5 6 7 8 9",
    "unit": "1 2 3 4 5 6 7 8 9 0",
    "month": "1 3 4 5 6 8 9 11 12",
    "day": "2 4 7 11 15 18 21 26 28",
    "many": "120 245 318 460 570 682 734 905 1,250 3,400 8,760",
    "town": ["{syllable}{place}镇", "{syllable}{place}县", "{syllable}{place}乡"],
    "syllable": "青 白 永 石 云 清 广 安 长 新 平 和 双 金 九",
    "place": "溪 河 桥 山 塘 口 坪 港 泉 岭 湖 店 堡",
    "crop": "茶叶 柑橘 水稻 棉花 烟草 核桃 苹果 药材 花生 甘蔗",
    "craft": "竹编 陶器 木雕 剪纸 刺绣 造纸 漆器 银器",
    "river": "{syllable}{flow}",
    "flow": "水河 沙江 溪江 龙河 马河",
    "scholar": "{person}",
    "field": "植物学 天文学 语言学 考古学 数学 地质学 气象学 民俗学 昆虫学 古生物学",
    "school": ["{city}大学", "{city}师范学院", "{country}国立大学", "{city}医学院"],
    "book": ["《{noun}{link}》", "《{noun}与{noun2}》", "《{field}导论》", "《{city}{noun}志》"],
    "noun": "河流 夏天 灯火 远山 候鸟 旧城 雨季 海岸 麦田 影子 尘埃 月光 石头 星空",
    "link": "尽头 之外 回声 的秘密 往事 简史 来信 札记",
    "prize": "金叶奖 长河奖 白鹭学术奖 青年科学奖 晨星奖 启明文学奖",
    "ill": "肺炎 心脏病 癌症 脑溢血 疟疾",
    "company": "{brand}集团 {brand}电子公司 {brand}航空公司 {brand}银行 {brand}汽车公司 {brand}食品公司",
    "goods": "收音机 缝纫机 自行车 罐头 电冰箱 胶卷 轮胎 手表 电话机 钢琴",
    "museum": ["{city}博物馆", "{city}美术馆", "{city}天文馆", "{city}图书馆", "{craft}博物馆", "{city}植物园"],
    "style": "新古典主义 现代主义 巴洛克 哥特式 中国传统 包豪斯",
    "thing": "青铜器 古地图 油画 手稿 化石 瓷器 植物标本 竹简",
    "animal": ["{syllable}尾{beast}", "{colour}{beast}", "{syllable}斑{beast}", "{noun}{beast}"],
    "beast": "鹭 蜥 鲤 蝶 羚 鼠 雀 蛙 鲟 蝠",
    "colour": "红 黑 黄 蓝 灰 银",
    "land": "热带雨林 高山草甸 沼泽 沿海滩涂 石灰岩洞穴 针叶林 荒漠",
    "food": "昆虫 小鱼 浆果 树叶 种子 甲壳类 苔藓 花蜜",
    "film": ["《{noun}{link}》", "《最后的{noun}》", "《{city}{noun}》", "《没有{noun}的{noun2}》"],
    "genre": "悬疑片 纪录片 爱情片 科幻片 战争片 喜剧片 动画片",
    "festival": "{city}电影节",
    "team": ["{city}{mascot}队", "{city}{mascot}足球俱乐部", "{mascot}篮球俱乐部"],
    "mascot": "猛虎 飞鱼 雪豹 红隼 蓝鲸 雷霆 野马 黑曜",
    "stadium": "{city}体育场",
    "line": ["{city}地铁{number}号线", "{city}{city2}铁路", "{city}至{city2}高速公路"],
    "ship": ["{noun}号", "{city}号", "{mascot}号"],
    "vessel": "巡洋舰 科学考察船 破冰船 驱逐舰 客轮 帆船",
    "battle": ["{place}山战役", "{city}之战", "{river}战役"],
    "general": "{person}",
    "latin": "Aurelia Novix BR-7 K2 Sigma Tanaka MX-10 Ardent",
}  # fmt: skip

KINDS = """
    NAME: town
    {name}位于[{province}{side}]，距{city}市区[{many}公里]。 | {name}位于哪里？/{name}在什么地方？/{name}在哪个省的什么位置？ | {name}距{city}市区有多远？/从{city}市区到{name}有多少公里？
    全境面积[{many}平方公里]，辖[{number}个村]。 | {name}的面积是多少？/{name}全境有多大？ | {name}管辖多少个村？
    当地以种植[{crop}]为主，{craft}也颇有名气。 | {name}主要种植什么？/{name}的农业以什么为主？
    {name}始建于[{year}]，最初是{river}边的一个渡口。 | {name}是什么时候建立的？/{name}始建于哪一年？
    {year}，[一场持续{number}天的大火]烧毁了镇上大半房屋。 | 什么烧毁了{name}的大半房屋？/{name}的房屋因何被毁？
    流经境内的河流有[{river}]和{river2}，常有水患。 | 流经{name}的河流除了{river2}还有哪一条？
    {name}的{craft}由匠人[{person}]在{year}前后传入。 | 谁把{craft}传入了{name}？/{name}的{craft}是谁传入的？
    {year2}铁路通车以后，人口增加到[{many}万人]。 | 铁路通车以后{name}的人口增加到多少？

    NAME: person
    {name}（[{born}]—{died}），{province}人，[{field}]家。 | {name}出生于哪一年？/{name}是哪年出生的？ | {name}研究的是什么学科？/{name}是哪个领域的学者？
    早年就读于[{school}]，师从[{scholar}]。 | {name}早年在哪里读书？/{name}就读于哪所学校？ | {name}的老师是谁？/{name}师从何人？
    {year}前往{country}，在那里工作了[{number}年]。 | {name}在{country}工作了多久？/{name}在{country}工作了几年？
    代表作是[{book}]，另著有{book2}。 | {name}的代表作是什么？/{name}最有名的著作是哪一部？
    因为[在{city}发现了{thing}]，{name}在{year}获得{prize}。 | {name}因为什么获得{prize}？/{name}为什么能得到{prize}？
    {year}当选为[{country}科学院院士]。 | {name}在{year}当选为什么？
    晚年定居{city}，{year}因[{ill}]去世，终年{digit}岁。 | {name}因为什么病去世？/{name}死于何种疾病？
    {name}的妻子[{person}]是一位画家，两人育有{number}个子女。 | {name}的妻子是谁？/谁是{name}的妻子？

    NAME: company
    {name}由[{person}]于[{year}{month}月]在{city}创立。 | {name}的创立者是谁？/谁创立了{name}？ | {name}是什么时候创立的？/{name}成立于何时？
    公司最初只生产[{goods}]，后来扩展到{goods2}。 | {name}最初生产什么？/{name}一开始的产品是什么？
    总部设在[{country}的{city}]，雇员约{many}人。 | {name}的总部在哪里？/{name}总部设在什么地方？
    {year}，{name}以[{digit}亿元]收购了{company}。 | {name}花多少钱收购了{company}？/收购{company}花了多少钱？
    由于[{goods}销量连年下滑]，公司在{year}裁减了{many}名员工。 | {name}为什么在{year}裁员？/{name}裁员的原因是什么？
    现任总裁是[{person}]，{year}上任。 | {name}的现任总裁是谁？/现在谁是{name}的总裁？
    旗下品牌[{latin}]在{country}市场占有率第一。 | {name}的哪个品牌在{country}市场占有率第一？

    NAME: museum
    {name}位于[{city}市{street}]，由建筑师[{person}]设计。 | {name}位于哪里？/{name}的地址在什么地方？ | {name}的设计者是谁？/{name}是谁设计的？
    建筑采用[{style}风格]，高{digit}米。 | {name}是什么风格的建筑？/{name}采用了什么建筑风格？
    馆内收藏[{thing}]{many}件，其中{number}件是国家一级文物。 | {name}主要收藏什么？/{name}的藏品是什么？
    工程从[{year}]开始，历时{number}年才完工。 | {name}的工程从哪一年开始？/{name}是哪年动工的？
    {year}，为了[扩建停车场和展厅]，曾经闭馆{number}个月。 | {name}在{year}为什么闭馆？/{name}曾经闭馆的目的是什么？
    开馆当天有[{many}人]参观。 | {name}开馆当天有多少人参观？/第一天有多少人参观了{name}？
    镇馆之宝是[{city}出土的{thing}]，由收藏家{person}捐赠。 | {name}的镇馆之宝是什么？/{name}最珍贵的藏品是什么？

    NAME: animal
    {name}是一种生活在[{land}]中的动物，主要以[{food}]为食。 | {name}生活在什么环境中？/{name}栖息在哪里？ | {name}主要吃什么？/{name}以什么为食？
    成年个体体长[{digit}厘米左右]，重约{many}克。 | {name}成年后有多长？/成年的{name}体长是多少？
    每年[{month}月至{month2}月]繁殖，每次产卵{number}枚。 | {name}在什么时候繁殖？/{name}的繁殖期是几月？
    分布在[{country}{side}]以及{country2}的岛屿上。 | {name}分布在{country2}的岛屿以外的哪里？/{name}分布在什么地区？
    因为[{land}遭到破坏]，{year}以后数量急剧减少。 | {name}的数量为什么急剧减少？/什么原因使{name}越来越少？
    {year}，生物学家[{person}]首次描述了这个物种。 | 谁首次描述了{name}？/{name}最早是由谁描述的？

    NAME: film
    {name}是[{person}]执导的{genre}，{year}在{country}上映。 | {name}的导演是谁？/谁执导了{name}？
    影片改编自[{person}的小说{book}]。 | {name}改编自什么作品？/{name}是根据什么改编的？
    女主角由[{person}]饰演，这是她第{number}次参加演出。 | {name}的女主角由谁饰演？/谁演了{name}的女主角？
    拍摄地点选在[{city}的{river}沿岸]，历时{digit}天。 | {name}在哪里拍摄？/{name}的拍摄地点在什么地方？
    总票房达到[{many}万元]。 | {name}的总票房是多少？/{name}一共收入了多少票房？
    {year}，{name}在{festival}上获得[最佳{role}奖]。 | {name}在{festival}上获得什么奖？/{festival}授予{name}哪个奖项？
    由于[片中使用了未经授权的音乐]，发行公司被判赔偿{digit}万元。 | {name}的发行公司为什么被判赔偿？

    NAME: team
    {name}成立于[{year}]，主场为[{stadium}]。 | {name}成立于哪一年？/{name}是什么时候成立的？ | {name}的主场是哪里？/{name}在哪座球场比赛？
    球队的主色是[{colour}色和{colour2}色]。 | {name}的主色是什么？/{name}球衣的颜色是什么？
    队史最佳射手是[{person}]，共打入{many}球。 | {name}的队史最佳射手是谁？/谁为{name}进球最多？
    {year}，球队以[{number}比零]击败{team}，首次夺得冠军。 | {name}以什么比分击败{team}？/{name}对{team}的比分是多少？
    因[拖欠球员工资]，{name}在{year}被降入乙级联赛。 | {name}为什么被降入乙级联赛？/{name}降级的原因是什么？
    现任主教练[{person}]来自{country}。 | {name}的现任主教练是谁？/现在执教{name}的是谁？

    NAME: line
    {name}全长[{many}公里]，设有[{digit}座车站]。 | {name}全长多少？/{name}有多长？ | {name}设有多少座车站？/{name}一共有几座站？
    工程由[{company}]承建，{year}动工。 | {name}由谁承建？/哪家公司承建了{name}？
    [{year}{month}月{day}日]正式通车。 | {name}是什么时候通车的？/{name}哪一天正式通车？
    穿越{river}的隧道深[{digit}米]，是全线最难的一段。 | {name}穿越{river}的隧道有多深？
    总投资约[{many}亿元]，其中{digit}亿元来自贷款。 | {name}的总投资是多少？/建设{name}一共投资多少？
    开通首日，列车因[信号系统故障]停运了{number}个小时。 | {name}开通首日因为什么停运？/{name}首日停运的原因是什么？

    NAME: ship
    {name}是[{country}]建造的一艘[{vessel}]，{year}下水。 | {name}由哪个国家建造？/哪个国家建造了{name}？ | {name}是什么类型的船？/{name}是一艘什么船？
    船长{many}米，最高航速[{digit}节]。 | {name}的最高航速是多少？/{name}最快能开多少节？
    以[发现{syllable}{place}岛的航海家{person}]命名。 | {name}以谁命名？/{name}的名字来自什么人？
    {year}在[{city}以东海域]触礁，船员{number}人获救。 | {name}在哪里触礁？/{name}触礁的地点在哪里？
    退役后被改造成[一座水上{craft}展览馆]，停泊在{city}港。 | {name}退役后被改造成什么？/退役以后{name}变成了什么？
    首任船长为[{person}]。 | {name}的首任船长是谁？/谁是{name}的第一任船长？

    NAME: battle
    {name}发生于[{year}{month}月]，交战双方是{country}和{country2}。 | {name}发生在什么时候？/{name}是何时爆发的？
    {country}军队由[{general}]指挥，兵力约{many}人。 | {name}中{country}军队由谁指挥？/谁在{name}中指挥{country}军队？
    战斗持续了[{number}天{number2}夜]，双方伤亡惨重。 | {name}持续了多长时间？/{name}打了多久？
    {name}的起因是[争夺{river}上的一座桥梁]。 | {name}的起因是什么？/{name}是为什么打起来的？
    战后两国签订了[{city}条约]，重新划定边界。 | {name}之后两国签订了什么条约？/{name}以哪个条约告终？
    今天当地建有[一座纪念碑和一间展览室]。 | 今天为了纪念{name}建有什么？/{name}的发生地今天建有什么？
    """  # noqa: E501

MORE = {"street": "梧桐路 解放街 滨河大道 望江路 石板巷 学府路 十里街", "role": "影片 导演 摄影 新人 剧本 音乐"}

PASSAGES = {"train.json": 110, "trial.json": 8, "dev.json": 42, "test.json": 22}
SENTENCES = 6
LONG = 0.12
"""How often a passage is about three things of a kind, with over 512 characters: more than one window."""
SHIFTED, REWORDED = 3, 2
"""Answers of train one character beside their start; third answers of dev that the annotator wrote in his own words."""


def text_with_questions(dice: Dice, split: str) -> Passage:
    """A passage of one subject, or a long one of several of the same kind."""
    lexicon, known = Lexicon(WORDS | MORE), kinds(KINDS)
    kind = dice.pick(known)
    if not dice.chance(LONG):
        return passage(kind, lexicon, dice, split, SENTENCES)
    return joined([passage(kind, lexicon, dice, split, 8) for _ in range(4)])


def answers(text: Passage, asked: Asked, file: str, dice: Dice) -> list[dict[str, Any]]:
    """One answer in train and trial, three in dev (the third may be shorter), placeholders in test."""
    if file == "test.json":
        return [{"text": f"FAKE_ANSWER_{number}", "answer_start": -1} for number in (1, 2, 3)]
    one = answer(text, asked)
    if file != "dev.json":
        return [one]
    third = Asked(asked.question, asked.start, asked.end - 1 - dice.below(2)) if dice.chance(0.3) else asked
    return [one, dict(one), answer(text, third) if third.end - third.start > 2 else dict(one)]


def oddities(file: str, made: list[dict[str, Any]]) -> None:
    """What annotators did to a few answers of the real files, and the empty question of trial."""
    for question in made[::30][:SHIFTED] if file == "train.json" else []:
        question["answers"][0]["answer_start"] += 1
    for question in made[5::40][:REWORDED] if file == "dev.json" else []:
        question["answers"][2] = {"text": "大约" + question["answers"][2]["text"] + "吧", "answer_start": -1}
    if file == "trial.json":
        made[3]["question"] = ""


def generate(dice: Dice) -> Files:
    """The four official files; dev and test are about names that train has not."""
    unrepeated, files = Unrepeated(), {}
    for file, amount in PASSAGES.items():
        split = file.split(".")[0]
        drawn = "train" if split == "train" else "dev"
        data, asked = [], []
        for number in range(amount):
            text = unrepeated.take(partial(text_with_questions, dice, drawn), lambda found: found.text)
            chosen = sorted(dice.some(range(len(text.asked)), 4))
            identity = f"{split.upper()}_{number}"
            questions = [
                {
                    "question": text.asked[position].question,
                    "id": f"{identity}_QUERY_{place}",
                    "answers": answers(text, text.asked[position], file, dice),
                }
                for place, position in enumerate(chosen)
            ]
            asked += questions
            paragraph = {"id": identity, "context": text.text, "qas": questions}
            data.append({"paragraphs": [paragraph], "id": identity, "title": text.text[:4]})
        oddities(file, asked)
        files[file] = document({"version": "v1.0", "data": data}, indent=2)
    return files
