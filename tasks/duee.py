"""DuEE 1.0: events of 65 types in news, with their triggers and arguments (LIC2020).

Source: Li et al., "DuEE: A Large-Scale Dataset for Chinese Event Extraction in Real-World Scenarios", NLPCC 2020. Two
releases: LIC2020 has 11,958 rows of train and 1,498 of dev, that of 2021 (Qianyan) 11,908 and 1,492; known here are
the dev of the first, the train and test of the second. A row, made up:

    {"id": "1", "text": "云帆裁员900人", "event_list": [{"event_type": "组织关系-裁员", "trigger": "裁员",
     "trigger_start_index": 2, "class": "组织关系", "arguments": [
     {"role": "裁员方", "argument": "云帆", "argument_start_index": 0, "alias": []}, ...]}]}

Texts are short: 7 % of them have over 128 characters. Oddities: 1,012 events of train have a role several times, 24 one
span in two roles, 437 no argument; events share arguments in one of twelve rows, in a few even the trigger.

Metrics: the official script was never published. `duee:character` is the task's rule of character credit per argument,
with the choices that its docstring states; `duee:event` and `duee:argument` are exact, as most papers report them.
The head `crf` is the baseline of LIC2020: every argument that it finds is an event of its own.
"""

from tasks.families.declaration import OWN_FILES
from tasks.families.event_schema import roles_of
from tasks.families.events import Events

TASK = Events(
    name="duee",
    version=1,
    title="DuEE 1.0: events in news, 65 types, 217 roles",
    homepage="https://aistudio.baidu.com/competition/detail/32",
    schema=roles_of("""
    财经/交易-出售/收购: 时间 出售方 交易物 出售价格 收购方
    财经/交易-跌停: 时间 跌停股票
    财经/交易-加息: 时间 加息幅度 加息机构
    财经/交易-降价: 时间 降价方 降价物 降价幅度
    财经/交易-降息: 时间 降息幅度 降息机构
    财经/交易-融资: 时间 跟投方 领投方 融资轮次 融资金额 融资方
    财经/交易-上市: 时间 地点 上市企业 融资金额
    财经/交易-涨价: 时间 涨价幅度 涨价物 涨价方
    财经/交易-涨停: 时间 涨停股票
    产品行为-发布: 时间 发布产品 发布方
    产品行为-获奖: 时间 获奖人 奖项 颁奖机构
    产品行为-上映: 时间 上映方 上映影视
    产品行为-下架: 时间 下架产品 被下架方 下架方
    产品行为-召回: 时间 召回内容 召回方
    交往-道歉: 时间 道歉对象 道歉者
    交往-点赞: 时间 点赞方 点赞对象
    交往-感谢: 时间 致谢人 被感谢人
    交往-会见: 时间 地点 会见主体 会见对象
    交往-探班: 时间 探班主体 探班对象
    竞赛行为-夺冠: 时间 冠军 夺冠赛事
    竞赛行为-晋级: 时间 晋级方 晋级赛事
    竞赛行为-禁赛: 时间 禁赛时长 被禁赛人员 禁赛机构
    竞赛行为-胜负: 时间 败者 胜者 赛事名称
    竞赛行为-退赛: 时间 退赛赛事 退赛方
    竞赛行为-退役: 时间 退役者
    人生-产子/女: 时间 产子者 出生者
    人生-出轨: 时间 出轨方 出轨对象
    人生-订婚: 时间 订婚主体
    人生-分手: 时间 分手双方
    人生-怀孕: 时间 怀孕者
    人生-婚礼: 时间 地点 参礼人员 结婚双方
    人生-结婚: 时间 结婚双方
    人生-离婚: 时间 离婚双方
    人生-庆生: 时间 生日方 生日方年龄 庆祝方
    人生-求婚: 时间 求婚者 求婚对象
    人生-失联: 时间 地点 失联者
    人生-死亡: 时间 地点 死者年龄 死者
    司法行为-罚款: 时间 罚款对象 执法机构 罚款金额
    司法行为-拘捕: 时间 拘捕者 被拘捕者
    司法行为-举报: 时间 举报发起方 举报对象
    司法行为-开庭: 时间 开庭法院 开庭案件
    司法行为-立案: 时间 立案机构 立案对象
    司法行为-起诉: 时间 被告 原告
    司法行为-入狱: 时间 入狱者 刑期
    司法行为-约谈: 时间 约谈对象 约谈发起方
    灾害/意外-爆炸: 时间 地点 死亡人数 受伤人数
    灾害/意外-车祸: 时间 地点 死亡人数 受伤人数
    灾害/意外-地震: 时间 死亡人数 震级 震源深度 震中 受伤人数
    灾害/意外-洪灾: 时间 地点 死亡人数 受伤人数
    灾害/意外-起火: 时间 地点 死亡人数 受伤人数
    灾害/意外-坍/垮塌: 时间 坍塌主体 死亡人数 受伤人数
    灾害/意外-袭击: 时间 地点 袭击对象 死亡人数 袭击者 受伤人数
    灾害/意外-坠机: 时间 地点 死亡人数 受伤人数
    组织关系-裁员: 时间 裁员方 裁员人数
    组织关系-辞/离职: 时间 离职者 原所属组织
    组织关系-加盟: 时间 加盟者 所加盟组织
    组织关系-解雇: 时间 解雇方 被解雇人员
    组织关系-解散: 时间 解散方
    组织关系-解约: 时间 被解约方 解约方
    组织关系-停职: 时间 所属组织 停职人员
    组织关系-退出: 时间 退出方 原所属组织
    组织行为-罢工: 时间 所属组织 罢工人数 罢工人员
    组织行为-闭幕: 时间 地点 活动名称
    组织行为-开幕: 时间 地点 活动名称
    组织行为-游行: 时间 地点 游行组织 游行人数
    """),
    files={
        "train": ("duee_train.json", *OWN_FILES["train"]),
        "dev": ("duee_dev.json", *OWN_FILES["dev"]),
        "test": ("duee_test2.json", "duee_test1.json", *OWN_FILES["test"]),
    },
    counts={"train": 11_908, "dev": 1_498, "test": 15_000},
    official={
        "duee_dev.json": "27f8d46dc3c77ebe5c09ca7459bcd57622be5a3e6bf8bd18b2adcccabc46494b",
        "duee_train.json": "839a62fd93b0b8f0bcbe6ada70429ad2dcf097461f8a0f02c01ee9762d61f714",
        "duee_test1.json": "ea09496fdab500c8398204ec20d0f3d3f8bb2ba562c6495af7f2927757104b5d",
    },
    submissions={"test": "duee.json"},
)
