"""Abstracts of papers that nobody wrote, with keywords that are theirs or not."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from tasks.samples.grammar import Dice, Files, Lexicon, Record, Unrepeated, draw, known, lines

FIELDS = """
    eng
    轴承故障 齿轮箱 液压泵 风力机叶片 柔性机械臂
    小波变换 有限元分析 模态试验 深度残差网络 包络解调
    振动响应 疲劳寿命 诊断精度 噪声干扰 动态刚度
    eng
    图像去噪 行人检测 遥感影像 人脸识别 视频压缩
    稀疏表示 卷积神经网络 注意力机制 超像素分割 小样本学习
    特征融合 峰值信噪比 实时性 边缘信息 召回率
    eng
    无线传感网络 车联网 卫星通信 协作频谱感知 室内定位
    波束赋形 压缩感知 博弈论 卡尔曼滤波 信道估计
    能量消耗 误码率 时延 吞吐量 覆盖范围
    eng
    沥青混合料 再生混凝土 预应力箱梁 软土地基 隧道衬砌
    三轴试验 离散元法 正交试验 数字图像相关 强夯法
    抗压强度 渗透系数 沉降变形 裂缝宽度 水稳定性
    eng
    光伏逆变器 锂离子电池 微电网 直流输电 永磁同步电机
    模型预测控制 滑模控制 粒子群算法 下垂控制 阻抗分析
    荷电状态 谐波畸变率 功率波动 暂态稳定 转矩脉动
    med
    急性胰腺炎 糖尿病肾病 慢性阻塞性肺疾病 冠心病 缺血性脑卒中
    介入治疗 雾化吸入 早期康复训练 中药熏洗 低分子肝素
    炎症因子 血糖波动 肺功能 生活质量 不良反应
    med
    股骨颈骨折 腰椎间盘突出 膝骨关节炎 肩袖损伤 骨质疏松
    微创手术 针刺疗法 镇痛泵 关节镜 快速康复护理
    疼痛评分 关节活动度 住院时间 骨密度 并发症
    med
    儿童哮喘 早产儿黄疸 手足口病 小儿腹泻 婴幼儿贫血
    蓝光照射 益生菌 抚触护理 健康教育 孟鲁司特
    胆红素水平 免疫球蛋白 家长满意度 复发率 血红蛋白
    med
    宫颈癌 乳腺肿瘤 胃癌 甲状腺结节 肝细胞癌
    超声造影 基因芯片 免疫组化 新辅助化疗 磁共振成像
    微血管密度 淋巴结转移 五年生存率 灵敏度 甲基化
    bio
    水稻 冬小麦 大豆 马铃薯 油菜
    分子标记 滴灌 秸秆还田 氮肥减施 全基因组关联分析
    产量性状 光合速率 叶绿素含量 抗倒伏性 水分利用效率
    bio
    草鱼 凡纳滨对虾 刺参 罗非鱼 三角帆蚌
    饲料添加剂 转录组测序 低氧胁迫 生物絮团 人工繁育
    生长性能 肠道菌群 抗氧化酶 成活率 溶解氧
    bio
    湿地土壤 人工林 高寒草甸 红树林 荒漠植被
    稳定同位素 高通量测序 样方调查 遥感反演 氮沉降模拟
    物种多样性 有机碳 微生物群落 凋落物分解 生物量
    bio
    葡萄 草莓 猕猴桃 番茄 苹果
    气调贮藏 涂膜保鲜 热激处理 一氧化氮 顶空固相微萃取
    可溶性固形物 果实硬度 挥发性物质 呼吸强度 腐烂率
    soc
    农村信用社 上市公司 中小企业 绿色债券 商业银行
    面板数据 双重差分 事件研究法 问卷调查 数据包络分析
    融资约束 公司治理 信贷风险 经营绩效 信息披露
    soc
    大学英语教学 职业教育 乡村教师 在线课程 学前教育
    行动研究 扎根理论 结构方程模型 课堂观察 德尔菲法
    学习动机 教师专业发展 学业成绩 师生互动 评价体系
    soc
    明清小说 地方志 民间歌谣 敦煌文书 近代报刊
    文本细读 口述史 比较研究 版本校勘 数字人文
    叙事结构 女性形象 地域文化 士人交往 审美趣味
    soc
    城市更新 社区养老 流动人口 基层治理 共享单车
    空间计量 深度访谈 多元回归 个案研究 社会网络分析
    公共服务 居住满意度 社会融入 政策工具 用地效率
    """
"""Four lines a discipline: the style of its abstracts, its objects, its methods, what it measures."""

SENTENCES = {
    "eng": (
        """
        针对{obj}中{factor}难以准确控制的问题,提出了一种基于{method}的新方法.
        为了改善{obj}的{factor},将{method}引入建模过程.
        {obj}的{factor}受多种因素影响,传统方法效果不佳,为此研究了{method}在其中的应用.
        以{obj}为研究对象,利用{method}对{factor}进行了分析.
        {factor}是评价{obj}的重要指标,该文结合{method}给出了一种改进方案.
        考虑{obj}工作环境复杂、{factor}变化大的特点,设计了一套采用{method}的方案.
        """,
        """
        首先建立数学模型,然后结合{method2}求解关键参数,最后搭建平台进行验证.
        该方法先对原始数据预处理,再由{method2}完成参数寻优.
        文中推导了计算公式,并与{method2}的结果做了对比.
        在此基础上引入{method2},以减小{factor2}带来的影响.
        通过改变工况,分别考察了{factor2}与各参数的关系.
        将该方法与{method2}相结合,降低了计算复杂度.
        """,
        """
        仿真和实验结果表明,所提方法将误差降低了{percent}%,{factor2}也有所改善,验证了方法的有效性.
        结果表明:与常规方法相比,精度提高{percent}%,且对{factor2}不敏感.
        实测数据显示,误差小于{percent}%,满足工程要求.
        算例分析说明该方法收敛速度快,具有较好的推广价值.
        现场应用半年来运行平稳,{factor2}明显改善.
        对比实验说明,在{factor2}方面该方法优于现有方法.
        """,
    ),
    "med": (
        """
        目的探讨{method}对{obj}患者{factor}的影响.
        目的观察{method}治疗{obj}的临床疗效及其对{factor}的作用.
        目的分析{obj}患者{factor}的变化,评价{method}的应用价值.
        目的研究{method}联合{method2}在{obj}中的应用效果.
        目的了解{obj}的发病特点,为{method}的选择提供依据.
        目的评估{method}在{obj}诊疗中的安全性.
        """,
        """
        方法选取收治的{obj}患者{count}例,随机分为两组,对照组给予常规处理,观察组加用{method2}.
        方法将{count}例患者按入院顺序分组,分别在治疗前后检测{factor2}.
        方法回顾性分析{count}例{obj}的临床资料,记录{factor2}.
        方法对{count}例患者随访一年,比较两组{factor2}的差异.
        方法采用随机数字表法将{count}例患者分为{method}组与{method2}组.
        """,
        """
        结果观察组总有效率高于对照组,{factor2}改善更为明显,差异有统计学意义(P<0.05).结论该方案疗效确切,值得推广.
        结果治疗后两组{factor}均有好转,观察组优于对照组(P<0.01).结论{method}安全有效.
        结果有效率为{percent}%,未见严重不良事件.结论{method}可作为{obj}的优选方案.
        结果{factor2}与病情严重程度呈正相关.结论{factor2}有助于判断预后.
        结果两组{factor2}比较差异无统计学意义(P>0.05).结论仍需扩大样本继续观察.
        """,
    ),
    "bio": (
        """
        以{obj}为材料,研究了{method}对{factor}的影响.
        为探明{obj}{factor}的变化规律,采用{method}设置了五个处理.
        {factor}是影响{obj}的关键因子,为此开展了{method}试验.
        为筛选{obj}适宜的管理措施,比较了不同水平{method}下的{factor}.
        利用{method}研究了{obj}的{factor}及其与环境的关系.
        在连续两年的试验中,测定了{obj}在{method}条件下的{factor}.
        """,
        """
        试验设对照和三个梯度,每个处理重复四次,同时结合{method2}测定{factor2}.
        采样后立即测定{factor2},并以{method2}加以验证.
        结果显示,随处理时间延长,{factor2}先升高后降低.
        各处理的{factor2}均高于对照,其中中等水平效果最好.
        进一步借助{method2}发现,{factor2}与{factor}显著相关.
        相关分析表明,{factor2}主要受温度和水分的共同影响.
        """,
        """
        综合来看,该处理下{factor2}的变化幅度达到{percent}%,适合在生产中应用.
        研究结果为{obj}的高效生产提供了理论依据.
        与对照相比,{factor}增加了{percent}%,差异显著.
        由此推测{factor2}可以作为评价{obj}的参考指标.
        该研究可为{obj}资源的保护与利用提供参考.
        """,
    ),
    "soc": (
        """
        本文以{obj}为例,运用{method}考察了{factor}的形成机制.
        {obj}中的{factor}一直受到学界关注,本文采用{method}重新加以讨论.
        基于{method},文章分析了{obj}的{factor}及其演变.
        近年来{obj}发展迅速,{factor}问题日益突出,本文结合{method}进行研究.
        如何提升{obj}的{factor}?文章通过{method}回答这一问题.
        文章从{factor}入手,梳理了{obj}研究的现状与不足.
        """,
        """
        研究收集了{count}份资料,并辅以{method2}进行检验.
        文章首先回顾相关文献,继而借助{method2}讨论{factor2}的作用.
        通过{method2},可以看到{factor2}在不同地区差异明显.
        研究发现,{factor2}对{factor}有显著影响.
        在比较三个案例的基础上,文章指出{factor2}是其中的关键.
        """,
        """
        最后从制度、资源和观念三个方面提出了改进{factor2}的建议.
        结论对理解{obj}具有一定的启发意义.
        研究表明,应当重视{factor2},并因地制宜地加以引导.
        文章认为,{obj}的价值有待进一步发掘.
        这一结果在更换变量和样本之后依然稳健.
        """,
    ),
}

ABSTRACTS = {"train.json": 180, "dev.json": 70, "test.json": 30}
FIRST_TEST_ID = 2001
"""Test ids are not row numbers in the official file either."""
PER_ABSTRACT = 2
"""Keyword lists an abstract, half of them true: as in the official files, an abstract stands more than once."""
SAME_FIELD_SHARE = 0.15
"""How often a wrong keyword is of the abstract's own field, which makes it hard to tell."""
IMPLIED_SHARE = 0.06
"""How often a real keyword is not in the text, as with real papers: nobody can tell it from a wrong one."""
NUMBERS = {"percent": "3 5 8 12 15 18 23 31 46 87 92", "count": "60 72 80 96 112 120 240 300 418"}


class Field(NamedTuple):
    """A discipline: the style its abstracts are written in and its terms by kind."""

    style: str
    terms: dict[str, list[str]]


class Abstract(NamedTuple):
    """A text, the terms in it, the terms of its field that are not in it, terms of other fields."""

    text: str
    inside: list[str]
    near: list[str]
    far: list[str]


def fields() -> list[Field]:
    """The disciplines of `FIELDS`."""
    found, rows = [], lines(FIELDS)
    for start in range(0, len(rows), 4):
        kinds = [words.split() for words in rows[start + 1 : start + 4]]
        found.append(Field(rows[start], dict(zip(("obj", "method", "factor"), kinds, strict=True))))
    return found


def abstract(every: list[Field], dice: Dice, split: str) -> Abstract:
    """Opening, middle and closing in the style of a drawn field, filled with its terms."""
    own = dice.pick(every)
    lexicon = Lexicon({**own.terms, **NUMBERS})
    opening, middle, closing = (lines(part) for part in SENTENCES[own.style])
    template = draw(dice, opening, split) + draw(dice, middle, split)
    if own.style != "med":
        template += dice.pick([line for line in known(middle) if line not in template])
    template += draw(dice, closing, split)
    filled = lexicon.fill(template, dice, split)
    terms = [term for kind in own.terms.values() for term in kind]
    inside = [term for term in terms if term in filled.text]
    far = [term for field in every if field is not own for kind in field.terms.values() for term in known(kind)]
    return Abstract(filled.text, inside, [term for term in terms if term not in inside], far)


def keywords(of: Abstract, dice: Dice, *, real: bool) -> list[str]:
    """Two to four different terms; mostly all from the text if `real`, else half or more are not."""
    amount = min(len(of.inside), dice.pick((2, 3, 3, 4, 4, 4)))
    chosen = dice.some(of.inside, amount)
    if real and dice.chance(IMPLIED_SHARE):
        chosen[0] = dice.pick(of.near)
    if not real:
        for position in range(amount // 2 + dice.below(amount - amount // 2 + 1)):
            pool = of.near if dice.chance(SAME_FIELD_SHARE) else of.far
            chosen[position] = dice.pick([term for term in pool if term not in chosen])
    return dice.shuffled(chosen)


def generate(dice: Dice) -> Files:
    """The three official files; an abstract stands in one of them only."""
    every, unrepeated, files = fields(), Unrepeated(), {}
    for file, amount in ABSTRACTS.items():
        split = file.split(".")[0]
        rows: list[Record] = []
        for _ in range(amount):
            one = unrepeated.take(partial(abstract, every, dice, split), lambda made: made.text)
            lists = Unrepeated()
            for real in dice.shuffled([True, False] * (PER_ABSTRACT // 2)):
                words = lists.take(partial(keywords, one, dice, real=real), tuple)
                rows.append({"abst": one.text, "keyword": words, "label": "1" if real else "0"})
        files[file] = [{"id": number + 1} | row for number, row in enumerate(rows)]
    for number, row in enumerate(files["test.json"]):
        del row["label"]
        row["id"] = FIRST_TEST_ID + 7 * number
    return files
