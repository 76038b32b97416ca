"""Premise and hypothesis in native Chinese of five genres, three hypotheses a premise; frames and rows."""

from __future__ import annotations

from tasks.samples.grammar import Dice, Files, Lexicon, Record, Unrepeated, draw
from tasks.samples.names import NAMES
from tasks.samples.nli import LABELS, Frame, Pair, frames, pairs

WORDS = NAMES | {
    "kin": "他爸 我姐 老舅 二叔 我妈 表哥 大姨 小姑子",
    "dept": "教育厅 农业局 交通局 卫健委 民政局 水利厅 文旅局",
    "work": "污水治理 旧房改造 乡村道路 职业培训 防汛抗旱 养老服务 农田水利",
    "trade": "纺织 陶瓷 造船 茶叶 食品加工 家具 光伏",
    "dish": "红烧肉 饺子 手擀面 酸菜鱼 豆腐脑 腊肉饭",
    "flower": "月季 茉莉 兰花 栀子花 君子兰",
    "tree": "槐树 柿子树 银杏 老柳树 枣树",
    "cloth": "棉袄 呢子大衣 旧军装 蓝布衫 羊皮坎肩",
    "when": "上个礼拜 前天晚上 大前年 昨天下午 去年秋天",
    "hour": "六点 七点半 八点 九点 十点一刻",
    "school": "县一中 师范学院 职业学校 实验小学 农业大学",
    "vehicle": "高铁 大巴 轮渡 绿皮火车 拖拉机",
    "shop": "裁缝铺 早点摊 杂货店 修车行 理发店 书店",
    "ill": "感冒 胃病 关节炎 失眠 过敏",
}

FRAMES = """
G: gov
P: 要继续抓好{work},{n}年内基本解决群众反映强烈的问题 | 下大力气做好{work},力争{n}年左右解决群众反映最集中的问题
E: 群众对{work}有意见 | {work}的问题还没有完全解决 | {work}工作以前就在做
N: {work}由{dept}负责 | {work}的经费翻了一番 | 解决问题需要全社会捐款
C: {work}不存在任何问题 | 今后不再开展{work} | 群众从来没有反映过{work}的问题

G: gov
P: {dept}去年新建{n}百个服务点,全部向农村居民免费开放 | 一年来,{dept}建成{n}百个服务点,农村居民都可以免费使用
E: 农村居民使用服务点不用花钱 | {dept}建的服务点比{less}百个多 | 服务点是新建的
N: 服务点里有专业医生 | 今年还要再建{more}百个 | 服务点都设在学校旁边
C: 农村居民不能进服务点 | {dept}去年一个服务点也没有建 | 使用服务点要交费

G: gov
P: 坚决取消不合理收费,{trade}企业的负担明显减轻 | 一批不合理收费被取消了,{trade}企业负担比过去轻
E: {trade}企业过去负担较重 | 有些收费是不合理的 | 收费项目减少了
N: {trade}企业的利润翻倍 | {trade}企业主动要求取消收费 | 取消收费是{dept}提出的
C: {trade}企业的负担加重了 | 所有收费都保留了下来 | 不合理收费越来越多

G: gov
P: 凡年满六十岁的老人,均可凭身份证免费乘坐市内公交 | 六十岁以上的老人坐市内公交一律不要钱,带身份证就行
E: 六十五岁的老人可以免费坐市内公交 | 坐公交有人是免费的 | 老人免费乘车要带身份证
N: 老人还可以免费坐{vehicle} | 免费乘车的费用由{dept}承担 | 老人大多在早上坐公交
C: 七十岁的老人坐市内公交要买票 | 没有人可以免费坐公交 | 老人不带身份证也能免费乘车

G: news
P: {city}{trade}产业园昨天开工,预计{n}年后建成投产 | 昨天,{city}{trade}产业园正式动工,建成投产要等到{n}年以后
E: {trade}产业园还没有建成 | {trade}产业园在{city} | {city}要建一个产业园
N: 产业园会带来上万个岗位 | {person}参加了开工仪式 | 产业园旁边有一条河
C: 产业园已经投产了 | 产业园去年就停工了 | {city}放弃了{trade}产业园

G: news
P: {city}{school}的{n}名学生在比赛中获奖,其中{person}得了第一 | 比赛结束,{city}{school}共有{n}人拿奖,第一名是{person}
E: {person}是{school}的学生 | {person}获奖了 | {school}获奖的学生不止{less}名
N: {person}是第一次参加比赛 | 比赛在{city2}举行 | {person}的老师也拿了奖
C: {person}没有得到名次 | {school}没有学生获奖 | {school}只有{person}一个人获奖

G: news
P: 受台风影响,{city}到{city2}的{vehicle}今天全部停运 | 台风来了,今天{city}开往{city2}的{vehicle}一班也没有开
E: 今天不能坐{vehicle}从{city}去{city2} | 台风影响了{vehicle} | {city}和{city2}之间平时有{vehicle}
N: 停运要持续{n}天 | 台风造成了人员受伤 | 旅客都改坐了飞机
C: {vehicle}今天照常运行 | 今天{city}一点风也没有 | {city2}今天来了很多坐{vehicle}的{city}旅客

G: news
P: 在{country}工作的{n}名中国医生平安回到{city} | {n}名援助{country}的中国医生昨天平安抵达{city}
E: 有中国医生去过{country} | 这些医生没有出事 | 回到{city}的医生比{less}名多
N: 这些医生在{country}工作了一年 | 医生们的家人到机场迎接 | 带队的医生叫{person}
C: 这些医生还留在{country} | 只有{less}名医生回到{city} | 医生们全都失踪了

G: news
P: {person}辞去{school}的工作,回乡开了一家{shop} | 原来在{school}上班的{person}辞了职,回老家开起{shop}
E: {person}现在不在{school}工作 | {person}有一家{shop} | {person}在{school}工作过
N: {person}的{shop}生意很好 | {person}的父母不同意他辞职 | {person}回乡是为了照顾老人
C: {person}还在{school}上班 | {person}从来没有工作过 | {person}留在城里没有回乡

G: lit
P: 院子里的{tree}落光了叶子,{person}裹紧{cloth}站在树下 | {person}穿着{cloth}站在院里,头顶的{tree}一片叶子也没有了
E: 院子里有一棵树 | {person}在院子里 | {person}身上穿着{cloth}
N: {person}在等人 | {cloth}是母亲缝的 | 这棵{tree}有一百年了
C: {tree}长满了绿叶 | {person}坐在屋里 | 院子里没有树

G: lit
P: 他一句话也没说,把{n}块钱往桌上一放,转身走了 | 桌上留着他放下的{n}块钱,他转身就走,没有开口
E: 他没有说话 | 他离开了 | 他留下的钱不到{more}块
N: 他很生气 | 钱是用来买{dish}的 | 他过一会儿会回来
C: 他把钱全部带走了 | 他说了很多话 | 他一直坐在桌边

G: lit
P: {person}推开窗,屋外{flower}的香气一下子涌了进来 | 窗户一开,{flower}的香味就飘进屋里,{person}深深吸了一口
E: 窗户开了 | {person}在屋里 | 屋外有{flower}
N: {person}最喜欢{flower} | {flower}是{person}自己种的 | 当时是早晨
C: 窗户一直关着 | 屋外没有花 | {person}什么也没有闻到

G: lit
P: {person}的信寄出去{n}个月了,至今没有回音 | 等了{n}个月,{person}还是没有收到回信
E: {person}没有收到回信 | {person}写过信 | 信是很久以前寄的
N: 信在路上丢了 | {person}的信是写给{person2}的 | {person}打算再写一封信
C: {person}收到了回信 | {person}没有寄过信 | 信昨天才寄出去

G: lit
P: 船到{city}的时候天已经黑透了,码头上只剩{n}盏灯 | 天黑透了,船才靠上{city}码头,那里只亮着{n}盏灯
E: 船到了{city} | 到码头的时候是晚上 | 码头上有灯
N: 船上坐满了人 | 船晚到了两个小时 | 码头上有人在等{person}
C: 船是上午到的 | 码头上一盏灯也没有 | 船没有到{city}

G: tv
P: 我不是怪你,我就是心疼你一天到晚吃不上口热饭 | 谁怪你了,我是心疼你,一天到晚连口热饭都吃不上
E: 你常常吃不上热饭 | 我关心你 | 我没有责怪你
N: 我们是母子 | 你工作非常忙 | 我给你做了{dish}
C: 我一点也不在乎你 | 你天天吃热饭 | 我说这话是在怪你

G: tv
P: {person},你要是再迟到,这家{shop}你就别来了 | 再迟到一次,{person}你就别在这{shop}干了
E: {person}迟到过 | {person}在{shop}干活 | 说话的人对{person}不满意
N: 说话的人是{shop}的老板 | {person}家离{shop}很远 | {person}已经迟到了{n}次
C: {person}从来没有迟到过 | {person}已经被开除了 | 迟到多少次都没有关系

G: tv
P: 这房子是爷爷留给咱们{n}家的,谁也不能单独卖 | 爷爷把房子留给了咱们{n}家,哪一家都不能自己卖掉
E: 房子原来是爷爷的 | 房子不属于一个人 | 不能一家做主卖房子
N: 有人想把房子卖掉 | 房子在{city} | 爷爷去年去世了
C: 房子只留给了一家人 | 房子是刚买的 | 谁想卖就可以卖

G: tv
P: 你别看{person}平时不吭声,真遇上事他头一个站出来 | {person}平时话少,可有事的时候第一个站出来的总是他
E: {person}遇事敢站出来 | {person}平时话不多 | {person}是个有担当的人
N: {person}当过兵 | {person}喜欢说话的人 | {person}帮过我们家
C: {person}遇事总是躲开 | {person}整天说个不停 | {person}胆子最小

G: tv
P: 今天这顿{dish}我请,上回就是你掏的钱 | 上回你掏的钱,这回的{dish}该我请了
E: 上一次是你请客 | 今天吃{dish} | 我们以前一起吃过饭
N: {dish}一共{n}十块钱 | 我们是老同学 | 我刚发了工资
C: 今天你付钱 | 上一次是我掏的钱 | 我们第一次一起吃饭

G: phone
P: 我{when}给你打电话,你没接,后来我就找{kin}去了 | 没打通你电话嘛,{when}的事,后来我找的{kin}
E: 我打过电话给你 | 我没有打通电话 | 我找了{kin}
N: 你当时在开会 | 我找{kin}借钱 | {kin}帮了我的忙
C: 你接了我的电话 | 我没有去找{kin} | 我从来没给你打过电话

G: phone
P: 我们这边{hour}才上班,你那边是不是都下班了 | 你那儿都下班了吧,我们这儿{hour}才开始上班呢
E: 我们上班的时间是{hour} | 我们不在一个地方 | 我有工作
N: 你在国外 | 我不喜欢我的工作 | 你的工资比我高
C: 我们{hour}下班 | 我们在同一个办公室 | 我没有工作

G: phone
P: {kin}那个{ill}啊,吃了{n}副药,一点也没见好 | 药吃了{n}副,{kin}的{ill}还是老样子
E: {kin}的{ill}还没好 | {kin}吃药了 | {kin}身体不舒服
N: {kin}打算住院 | 药是{person}医生开的 | {kin}的{ill}是累出来的
C: {kin}的{ill}已经好了 | {kin}没有吃药 | {kin}身体一直很好

G: phone
P: 嗯,我在{school}念书,还有{n}个月就毕业了 | {school}嘛,我还要念{n}个月才毕业呢
E: 我还没有毕业 | 我是{school}的学生 | 我{more}个月以后就毕业了
N: 我毕业以后想去{city} | 我学的是{trade} | 我已经找到了工作
C: 我去年就毕业了 | 我没有上过学 | 我在{school}当老师

G: phone
P: 那儿的{dish}比咱们家里的便宜一半,就是不好吃 | {dish}在那儿只卖咱们这儿一半的钱,可味道不行
E: 那儿的{dish}味道不好 | 那儿的{dish}不贵 | 咱们这儿的{dish}贵一些
N: 那儿的人不爱吃{dish} | 我在那儿住了{n}年 | 那儿的{dish}用料不新鲜
C: 那儿的{dish}又贵又好吃 | 咱们家里的{dish}更便宜 | 那儿没有{dish}卖
"""

LEVELS = ("easy", "medium", "hard", "na")
ROWS = {"train.50k.json": 540, "dev.json": 150, "test.json": 60}
UNDECIDED = {"train.50k.json": (17, 140, 300, 455), "dev.json": (9, 61, 120), "test.json": ()}
"""Rows whose five annotators found no majority: labelled "-", to be left out and counted."""
ANNOTATED_SHARE = 0.08
"""Part of train that five people labelled; all of dev is."""
MISLABELLED = 0.03


def votes(label: str, dice: Dice) -> list[str]:
    """Five labels whose majority is `label`, the first the writer's own; for "-" two, two and one."""
    labels = dice.shuffled(list(LABELS.values()))
    if label == "-":
        return dice.shuffled([labels[0], labels[0], labels[1], labels[1], labels[2]])
    others = [dice.pick(labels) if dice.chance(0.25) else label for _ in range(2)]
    return [label, *dice.shuffled([label, label, *others])]


def row(frame: Frame, number: int, pair: Pair, dice: Dice, *, level: str, premise: str, annotated: bool) -> Record:
    """A row in the official key order; `label0` to `label4` are null where nobody annotated again."""
    found = votes(pair.label, dice) if annotated else [None] * 5
    return {
        "level": level,
        "sentence1": pair.premise,
        "sentence2": pair.hypothesis,
        "label": pair.label,
        **{f"label{position}": vote for position, vote in enumerate(found)},
        "genre": frame.genre,
        "prem_id": premise,
        "id": number,
    }


def generate(dice: Dice) -> Files:
    """The three official files; three rows in a row share a premise, as in the official train."""
    every, lexicon, unrepeated, files = frames(FRAMES), Lexicon(WORDS), Unrepeated(), {}
    premises = 0
    for file, amount in ROWS.items():
        split = file.split(".")[0]
        rows: list[Record] = []
        while len(rows) < amount:
            frame = draw(dice, every, split)
            made = pairs(frame, lexicon, dice, split)
            new = [unrepeated.add(pair[:2]) for pair in made]
            if not all(new):
                continue
            premises += 1
            level = dice.pick(LEVELS)
            for pair in dice.shuffled(made):
                number = len(rows)
                if number in UNDECIDED[file]:
                    pair = pair._replace(label="-")
                elif dice.chance(MISLABELLED):
                    pair = pair._replace(label=dice.pick(list(LABELS.values())))
                annotated = pair.label == "-" or split != "train" or dice.chance(ANNOTATED_SHARE)
                premise = f"{frame.genre}_{premises}"
                rows.append(row(frame, number, pair, dice, level=level, premise=premise, annotated=annotated))
        files[file] = rows
    files["test.json"] = [{key: one[key] for key in ("sentence1", "sentence2", "id")} for one in files["test.json"]]
    return files
