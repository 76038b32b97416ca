"""DuIE 2.0: relations of 48 predicates in sentences of the Chinese web, objects of up to four slots.

Source: the relation extraction tracks of LIC2020 and LIC2021 (Baidu); files duie_train.json, duie_dev.json,
duie_test1.json, duie_schema.json. Rows: train 171,293, dev 20,674, tests unlabelled.

    {"text": "...", "spo_list": [{"predicate": "饰演", "subject": "...", "subject_type": "娱乐人物",
     "object": {"@value": "...", "inWork": "..."}, "object_type": {"@value": "人物", "inWork": "影视作品"}}]}

Oddities: rows have no id, their text is their key and must come out unchanged; no offsets, and of nine (subject,
object) pairs two have a string that stands at several places; five predicates have slots beside `@value`, which may be
absent; a few strings have white space at their ends, a few relations are given twice.
Metrics: the official one wants every slot right, after lower-casing and without 《》; the strict one counts the slots.

Own data: a schema.json of the same form (one predicate a line) beside train.jsonl and dev.jsonl in the form above.
"""

from tasks.families.declaration import OWN_FILES
from tasks.families.relation_forms import schema_lines
from tasks.families.relations import Relations

TASK = Relations(
    name="duie",
    version=1,
    title="DuIE 2.0: relations between entities, 48 predicates",
    homepage="https://aistudio.baidu.com/competition/detail/46",
    # predicate: type of the subject, type of the object, types of its further slots
    schema=schema_lines("""
    毕业院校: 人物 学校
    嘉宾: 电视综艺 人物
    配音: 娱乐人物 人物 inWork=影视作品
    主题曲: 影视作品 歌曲
    代言人: 企业/品牌 人物
    所属专辑: 歌曲 音乐专辑
    父亲: 人物 人物
    作者: 图书作品 人物
    上映时间: 影视作品 Date inArea=地点
    母亲: 人物 人物
    专业代码: 学科专业 Text
    占地面积: 机构 Number
    邮政编码: 行政区 Text
    票房: 影视作品 Number inArea=地点
    注册资本: 企业 Number
    主角: 文学作品 人物
    妻子: 人物 人物
    编剧: 影视作品 人物
    气候: 行政区 气候
    歌手: 歌曲 人物
    获奖: 娱乐人物 奖项 inWork=作品 onDate=Date period=Number
    校长: 学校 人物
    创始人: 企业 人物
    首都: 国家 城市
    丈夫: 人物 人物
    朝代: 历史人物 Text
    饰演: 娱乐人物 人物 inWork=影视作品
    面积: 行政区 Number
    总部地点: 企业 地点
    祖籍: 人物 地点
    人口数量: 行政区 Number
    制片人: 影视作品 人物
    修业年限: 学科专业 Number
    所在城市: 景点 城市
    董事长: 企业 人物
    作词: 歌曲 人物
    改编自: 影视作品 作品
    出品公司: 影视作品 企业
    导演: 影视作品 人物
    作曲: 歌曲 人物
    主演: 影视作品 人物
    主持人: 电视综艺 人物
    成立日期: 机构 Date
    简称: 机构 Text
    海拔: 地点 Number
    号: 历史人物 Text
    国籍: 人物 国家
    官方语言: 国家 语言
    """),
    id="text",
    files={
        "train": ("duie_train.json", *OWN_FILES["train"]),
        "dev": ("duie_dev.json", *OWN_FILES["dev"]),
        "test": ("duie_test2.json", "duie_test1.json", *OWN_FILES["test"]),
    },
    counts={"train": 171_293, "dev": 20_674},
    official={"duie_schema.json": "ae314e3f6f67d515f72f9de35a69d187631004bc2cbfb09db01951e60be0ba6b"},
    submissions={"test": "duie.json"},
    # As published (GPLinker for DuIE 1.0, the LIC2020 baseline for CasRel).
    recipes={
        "gplinker:base": {"batch_size": 64, "epochs": 20, "learning_rate": 2e-5},
        "casrel:base": {"max_length": 256, "batch_size": 16, "epochs": 20, "learning_rate": 2e-5},
    },
)
