"""Short news titles of 15 topics: the templates and word lists (the rows are made in `tnews.py`)."""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    """One label: its description as the official files write it, its templates, its own word lists."""

    description: str
    templates: str
    words: dict[str, str]


TOPICS: dict[str, Topic] = {
    "100": Topic(
        "news_story",
        """
        故事：{kin}临终前交给我一只{thing}，多年后我才明白用意
        民间故事：{trade}雨夜收留{stranger}，第二天门口多了{thing}
        {trade}救下{stranger}，三年后收到一封没有署名的信
        {kin}藏了半辈子的{thing}，打开后一家人都沉默了
        村里的{trade}从不在夜里出门，{kin}终于说出了实情
        那年冬天，我在{spot}捡到一只{thing}
        短篇故事：{spot}的{stranger}
        从前有个{trade}，靠一只{thing}养活了一家人
        她在{spot}等了他十年，等来的却是{stranger}
        书生借宿{spot}，半夜捡到一只{thing}
        {kin}改嫁那天，只带走了一只{thing}
        小伙子娶了{stranger}，洞房夜发现对方藏着{thing}
        {trade}的女儿爱上了{stranger}，{kin}气得三天没吃饭
        {stranger}在{spot}讨水喝，留下一句话改变了{trade}的一生
        儿子不肯认{kin}，直到看见那只{thing}
        """,
        {
            "kin": "爷爷 外婆 父亲 继母 养父 大伯 师父 婆婆 姑姑",
            "trade": "木匠 船夫 磨刀人 豆腐匠 货郎 守林人 老裁缝 樵夫 摆渡人",
            "stranger": "哑巴姑娘 陌生女子 瘸腿老人 逃荒的母子 白衣书生 迷路的孩子 蒙面人 卖花女",
            "thing": "旧木箱 银镯子 铜铃铛 油纸伞 破碗 红布包 玉簪 老怀表 绣花鞋",
            "spot": "破庙 渡口 老槐树下 后山 枯井边 祠堂 荒村 竹林深处",
        },
    ),
    "101": Topic(
        "news_culture",
        """
        {dynasty}的{relic}为什么失传，专家给出三种解释
        {city}博物馆展出{dynasty}{relic}，观众排起长队
        {art}与{art2}有什么区别？一文读懂
        一幅{art}背后的{dynasty}文人生活
        {person}：我用一生守护{art}
        从{relic}看{dynasty}的审美
        {city}古籍书店里，读者在翻一本{dynasty}诗集
        这首{dynasty}的诗只有二十个字，却写尽了乡愁
        {art}传承人走进校园，孩子们第一次摸到{relic}
        成语“{idiom}”的本义，很多人理解错了
        {dynasty}书法家的这件手稿，笔笔见功夫
        {city}{festival}民俗活动举行，{art}表演引来喝彩
        为什么古人{festival}要佩戴香囊？
        收藏家展示{relic}，专家鉴定为{dynasty}真品
        读懂“{idiom}”，才读懂了{dynasty}的处世之道
        """,
        {
            "dynasty": "唐代 宋代 明代 清代 汉代 元代 北魏 战国",
            "relic": "青瓷 竹简 铜镜 壁画 漆器 陶俑 玉璧 织锦 石刻",
            "art": "皮影 剪纸 水墨画 篆刻 昆曲 评弹 年画 行书 木版水印",
            "idiom": "空穴来风 七月流火 差强人意 守株待兔 相濡以沫 三人成虎 不刊之论 明日黄花",
            "festival": "端午 重阳 元宵 清明 冬至 上巳 中秋 腊八",
        },
    ),
    "102": Topic(
        "news_entertainment",
        """
        {person}{occasion}红毯造型曝光，{look}惊艳全场
        {person}首谈恋情：我们认识十年了
        {show}收官，{person}的演技被夸上热搜
        {person}晒{look}自拍，粉丝直呼认不出来
        导演{person}新片杀青，{person2}出演女主角
        {person}与{person2}合体出席{occasion}，同框太养眼
        {show}口碑两极，{person}回应被批演技差
        {person}新歌上线一小时登顶，{person2}作词
        {show}第二季官宣，{person}回归，{person2}退出
        狗仔拍到{person}深夜聚会，经纪人紧急澄清
        {person}{look}亮相机场，状态好到不像四十岁
        昔日童星{person}近照曝光，{look}判若两人
        {person}拿下最佳男配角，台上哽咽感谢{person2}
        {person}工作室发声明：谣言止于智者
        看完{show}，我被配角{person}圈粉了
        """,
        {
            "occasion": "电影节 时装周 颁奖礼 首映礼 音乐盛典 慈善晚宴 跨年演唱会 发布会",
            "look": "露肩长裙 素颜 短发造型 复古旗袍 白色西装 银发造型 丸子头 渔网裙",
            "show": "综艺《慢慢走》 古装剧《临江月》 网剧《灯下无人》 真人秀《下一站》 都市剧《合租时代》 "
            "选秀《开嗓吧》 仙侠剧《九重雪》 喜剧《老街坊》",
        },
    ),
    "103": Topic(
        "news_sports",
        """
        {team}{score}逆转{team2}，{person}{feat}
        {league}第{digit}轮：{team}客场战平{team2}
        {person}赛后：{team}还有很多地方要改进
        {team}官宣签下{person}，合同为期三年
        {person}伤缺{digit}周，{team}{position}告急
        {league}前瞻：{team}能否终结对{team2}的不胜
        {team}主帅：{person}将首发出战{team2}
        {person}{feat}，帮助{team}挺进决赛
        {open}女单爆冷，{person}止步首轮
        {open}男双决赛：{person}组合横扫夺冠
        裁判判罚引争议，{team}赛后提出申诉
        {team}连败止于{digit}场，{person}贡献关键{point}
        {person}宣布退役：感谢{team}的球迷
        转会窗关闭，{team}没能等来新{position}
        {league}积分榜：{team}反超{team2}升至第二
        """,
        {
            "team": "海州队 临江猛虎 青屿飞鱼 白鹭联 松岭矿工 古渡水手 云溪青年队 金浦竞技 雁鸣山鹰",
            "score": "3比2 102比99 2比1 88比80 4比3 117比113",
            "league": "超级联赛 冠军杯 篮球联赛 女排联赛 足协杯 季后赛 亚冠",
            "feat": "梅开二度 砍下三十分 绝杀 上演帽子戏法 送出三次助攻 扑出点球 打满全场",
            "position": "中锋 后卫 门将 二传 中场 边锋 控卫",
            "open": "海州网球公开赛 羽毛球大师赛 乒乓球公开赛 世锦赛 室内田径赛 马拉松",
            "point": "一球 三分 罚球 进球 篮板 发球",
        },
    ),
    "104": Topic(
        "news_finance",
        """
        {brand}{firm}上半年净利润增长{digit}%
        央行{move}，{sector}企业迎来利好
        {product}收益率跌破3%，钱该放在哪里
        {brand}{firm}获{digit}亿元融资，估值翻倍
        {brand}{firm}与{brand2}{firm2}合并，{sector}格局生变
        个人所得税{rule}，工资到手多了多少
        {sector}价格连涨{digit}天，下游工厂叫苦
        银行{product}起购门槛再降，储户怎么选
        {brand}{firm}拖欠货款被起诉，创始人失联
        首席经济学家{person}：今年{sector}投资要看现金流
        {city}出台政策，{sector}企业最高补贴{digit}万元
        财政部{move}，地方债发行提速
        {person}辞去{brand}{firm}董事长职务，持股市值超{digit}亿
        消费贷利率{rule}，专家提醒理性借款
        创业五年欠下{digit}万，{brand}{firm}创始人谈失败
        """,
        {
            "firm": "集团 银行 控股 支付 保险 信托 连锁超市",
            "move": "下调存款准备金率 开展逆回购 公布最新利率 发布金融数据 约谈支付机构 扩大试点",
            "sector": "煤炭 零售 物流 钢铁 化工 咖啡 跨境电商",
            "product": "货币基金 大额存单 理财产品 国债 养老金产品 定期存款 结构性存款",
            "rule": "专项扣除调整 新规落地 起征点变化 上限明确 优惠延续 降至3厘",
        },
    ),
    "106": Topic(
        "news_house",
        """
        {city}{area}新盘开售，均价每平方米{digit}000元
        {deed}到底怎么办，{person}踩过的坑你别再踩
        {room}装修花了{digit}万，入住后最后悔的几处设计
        {city}首套房首付比例下调，刚需能上车了吗
        {city}{area}二手房挂牌量创新高，房东开始降价
        买房时开发商说的{extra}，到底算不算数
        公积金贷款额度提高，{city}购房者每月少还{digit}00元
        {room}这样布置，小户型也能住出大空间
        {city}土地拍卖：{area}地块底价成交
        业主投诉{extra}缩水，{area}楼盘交房起冲突
        精装房和毛坯房怎么选，{room}差别最大
        {city}房贷利率降了，提前还款还划算吗
        租房押金被扣，{city}租客起诉中介
        {area}学区房降温，有人急售{digit}0平米老破小
        {extra}归谁所有，物业和业主吵了三年
        """,
        {
            "area": "滨河新区 老城西片 大学城板块 高铁南站 开发区 东湖片区 北环",
            "deed": "房产证 网签 房屋过户 购房合同 契税 贷款面签",
            "room": "厨房 主卧 阳台 卫生间 玄关 儿童房 飘窗",
            "extra": "赠送面积 地下车位 容积率 公摊面积 绿化率 电梯广告收益",
        },
    ),
    "107": Topic(
        "news_car",
        """
        {brand}{model}实拍，{part}升级明显
        {digit}万预算，{brand}{model}和{brand2}{model2}怎么选
        {brand}{model}开了{digit}000公里，说说{part}的优缺点
        {fault}是什么原因，老司机教你三招
        {brand}召回{digit}00辆{model}，{part}存在隐患
        新手停车总压线，记住这几个参照点
        {brand}全新{model}谍照曝光，{part}大改
        {model}提车作业：落地{digit}万，{part}很满意
        高速上遇到{fault}，千万别急刹
        {brand}{model}油耗实测，百公里只要{digit}毛钱
        换挡顿挫、{fault}，{brand}{model}车主集体维权
        冬天热车要多久？修车师傅说了实话
        {brand}{model}上市，{part}成最大卖点
        同价位里，为什么我没买{brand}{model}
        二手{model}值不值得入手，先看{part}
        """,
        {
            "model": "SUV 轿跑 旅行车 七座MPV 皮卡 混动版 两厢车 越野版 小钢炮",
            "part": "变速箱 大灯 底盘 内饰 发动机 座椅 前脸 后备厢 悬架",
            "fault": "方向盘抖动 刹车异响 机油乳化 轮胎鼓包 空调有异味 发动机积碳 胎压报警",
        },
    ),
    "108": Topic(
        "news_edu",
        """
        {city}{exam}时间确定，考生注意这几点
        {grade}{subject}知识点汇总，家长收藏
        孩子{trouble}，班主任{person}这样回复家长
        {exam}分数线公布，{city}考生{digit}人上线
        {subject}考满分的孩子，都有这个习惯
        {school}招生简章发布，新增{digit}个专业
        {exam}{subject}压轴题太难，老师给出两种解法
        {school}学生宿舍改造，网友：别人家的学校
        教育局通知：{grade}不得布置{subject}书面作业
        {grade}家长会上，{person}老师说了三句话
        考研还是就业，{school}毕业生{person}的选择
        孩子{trouble}，做好三件事比打骂有用
        {city}中小学推行课后服务，{grade}先试点
        {exam}作文题出炉，你会怎么写
        {school}教授{person}：大学四年最该学的是提问
        """,
        {
            "exam": "中考 高考 教师资格考试 研究生考试 自主招生 英语四级 期末统考",
            "grade": "三年级 初二 高一 小学 幼儿园大班 初中 六年级",
            "subject": "数学 语文 英语 物理 化学 古诗文 阅读理解",
            "trouble": "上课走神 写作业拖拉 偏科 厌学 不爱举手 成绩忽高忽低",
            "school": "海州大学 临江师范学院 云溪一中 白鹭职业学院 青屿理工大学 松岭实验小学",
        },
    ),
    "109": Topic(
        "news_tech",
        """
        {brand}发布新款{device}，搭载自研{chip}
        {brand}{device}拆解：{chip}比上一代小了一半
        {device}到底要不要贴膜，工程师给出答案
        {brand}{device}销量突破{digit}00万台
        用了三个月{brand}{device}，说说真实感受
        {tech}落地{city}，市民出行更方便
        {brand}创始人{person}：{tech}是下一个十年的机会
        {device}内存不足？关掉这几个开关就好
        {tech}会不会取代人类，{person}这样说
        {brand}系统更新推送，{device}老用户也能升级
        {brand}与{brand2}专利之争，焦点是{tech}
        {brand}{device}跑分曝光，{chip}性能提升{digit}%
        {app}又崩了，服务器半小时后恢复
        程序员{person}辞职，开源了自己写的{app}
        {city}建成{tech}实验室，首批论文公布
        """,
        {
            "device": "折叠屏手机 智能手表 平板电脑 蓝牙耳机 扫地机器人 游戏本 路由器 投影仪 无人机",
            "chip": "芯片 传感器 摄像头模组 快充电池 显示屏 散热模块 基带",
            "tech": "人工智能 量子计算 自动驾驶 语音识别 区块链 6G通信 云计算 脑机接口",
            "app": "输入法 聊天软件 浏览器 网盘 地图应用 短视频平台 翻译工具",
        },
    ),
    "110": Topic(
        "news_military",
        """
        {country}海军新型{ship}下水，{spec}是亮点
        {country}与{country2}举行联合军演，{weapon}首次参加
        {weapon}到底有多强，专家解读{spec}
        {country}边境增兵，{weapon}连夜部署
        {war}中，{general}仅用{digit}00人守住了阵地
        {country}空军接收首批{plane}
        老兵{person}回忆{war}：那一夜我们没有退
        {plane}与{plane2}对比，{spec}谁更胜一筹
        {country}试射导弹，射程超{digit}00公里
        {ship}编队穿越海峡，{country2}派出{plane}跟踪
        {general}被俘后说了什么，{war}史料首次公开
        {country}国防预算大涨，大头花在{ship}上
        特种兵选拔有多难：负重{digit}公斤越野
        {country}停火协议再遭破坏，双方互射{weapon}
        这种{weapon}曾让{country}军队吃尽苦头
        """,
        {
            "ship": "驱逐舰 护卫舰 潜艇 两栖登陆舰 航母 扫雷舰 补给舰",
            "plane": "战斗机 预警机 武装直升机 轰炸机 侦察无人机 教练机 运输机",
            "weapon": "火箭炮 主战坦克 防空导弹 自行榴弹炮 狙击步枪 鱼雷 装甲车 反坦克导弹",
            "spec": "隐身性能 射程 雷达 续航力 火控系统 静音水平 载弹量",
            "war": "雪岭战役 渡江阻击战 长汀口会战 石桥保卫战 松岭突围战 海峡空战",
            "general": "老团长 炮兵营长 侦察连长 敌军司令 守城将军 少帅 师政委",
        },
    ),
    "112": Topic(
        "news_travel",
        """
        {city}{scenic}美哭了，{season}去正好
        {digit}00元玩转{city}，{day}攻略请收好
        {city}到底有什么好玩的？本地人推荐{scenic}
        {season}去{city}，这几家民宿推窗就是海
        自驾{day}，从{city}一路开到{city2}
        {scenic}门票涨价，游客：还值得去吗
        {city}小众景点：{scenic}没什么人，随手拍都是大片
        带爸妈去{city}旅游，{scenic}一定别错过
        {city}{food}哪家最地道，跟着导游走
        {scenic}迎来{season}客流高峰，景区限流
        一个人的旅行：在{city}{scenic}发呆一下午
        {country}免签了，{day}行程怎么安排
        在{country}旅行，千万别点这道{food}
        {season}赏花地图：{city}{scenic}上榜
        徒步{scenic}，{day}走完全程要准备什么
        """,
        {
            "scenic": "梯田 古镇 玻璃栈道 盐湖 红树林 石窟 灯塔 草原 峡谷 温泉",
            "season": "四月 初夏 国庆 深秋 春节 暑假 樱花季",
            "day": "三日游 周末两天 七天六晚 一日往返 五天四晚 半日游",
            "food": "牛肉面 海鲜粥 豆腐圆子 手抓饭 糖油粑粑 烤包子 酸汤鱼",
        },
    ),
    "113": Topic(
        "news_world",
        """
        {country}总统{leader}宣布辞职，{party}要求提前大选
        {country}外长访问{country2}，双方谈{issue}
        {country}首都发生{disaster}，已致{digit}人受伤
        {leader}当选{country}新任总理
        {country}议会通过法案，{issue}再起争论
        {country}与{country2}恢复外交关系
        {country}{disaster}救援结束，{leader}宣布全国哀悼
        联合国就{country}{issue}召开紧急会议
        {country}大使馆提醒公民注意安全
        {country}女王{leader}罕见公开露面
        {party}上街抗议，{country}政府宣布宵禁
        {leader}：{country}不会接受{country2}的{issue}条件
        {country}大选计票过半，{leader}领先{digit}个百分点
        {country}前总统{leader}因贪腐案受审
        {country}驱逐{digit}名{country2}外交官
        """,
        {
            "leader": "卡尔森 奥尔多 马苏德 伊琳娜 班德拉 塞贝克 罗慕斯 蒂亚戈 阿米娜",
            "party": "反对党 工会 学生团体 执政联盟 农民组织 退伍军人",
            "issue": "移民问题 关税问题 核问题 边界问题 人权决议 制裁决议 渔业纠纷",
            "disaster": "地震 山火 爆炸 枪击案 洪灾 飞机失事 列车脱轨",
        },
    ),
    "114": Topic(
        "news_stock",
        """
        {board}{trend}，{concept}股领涨
        {brand}股份{notice}，股价三天跌去{digit}%
        {person}：{board}短线支撑位在哪里
        {concept}板块掀涨停潮，{digit}只个股封板
        北向资金净流入{digit}亿，加仓{concept}
        {brand}股份{notice}，散户该不该割肉
        午评：{board}{trend}，两市成交不足万亿
        均线{signal}后怎么操作，老股民{person}谈经验
        新股申购：{brand}股份今日上市，中一签赚多少
        主力资金出逃{concept}，{board}失守关口
        {board}尾盘{trend}，明天怎么走
        {brand}股份连收{digit}个涨停，交易所发问询函
        {signal}出现，选股记住这三条
        龙虎榜：机构抢筹{brand}股份，游资出货{concept}
        A股收评：{board}{trend}，{concept}表现活跃
        """,
        {
            "board": "沪指 创业板指 深成指 科创板 大盘 恒指 北证50",
            "trend": "冲高回落 低开高走 放量大涨 缩量调整 跳水 窄幅震荡 翻红",
            "concept": "半导体 白酒 券商 锂电池 军工 光伏 中药 次新",
            "notice": "控股股东减持 收到监管函 业绩预亏 停牌重组 宣布回购 限售股解禁",
            "signal": "金叉 死叉 底背离 缺口 放量阳线 十字星 K线三连阳",
        },
    ),
    "115": Topic(
        "news_agriculture",
        """
        {city}农民{person}种{crop}，一亩地收入{digit}000元
        {crop}得了{disease}怎么办，农技员教你用药
        {price}：{crop}收购价每斤跌了三毛
        {animal}养殖技术：{season}要防{disease2}
        {city}{crop}丰收，田间地头一片忙
        农村{policy}补贴下来了，{crop}种植户有份
        {crop}什么时候施肥最好，老把式说看叶子
        {person}返乡养{animal}，三年带动{digit}户村民
        {season}管理{crop}，浇水施肥别马虎
        {price}行情：{animal}出栏价连涨{digit}天
        {policy}新政策出台，这些土地要收回
        {crop}套种{crop2}，一块地两份收成
        {city}遭遇{weather}，{crop}减产三成
        {animal}不吃料、{disease2}，兽医给出方子
        农业农村部门：{weather}过后抓紧补种{crop}
        """,
        {
            "crop": "玉米 水稻 花生 辣椒 猕猴桃 大蒜 冬小麦 香菇 黄桃 土豆",
            "animal": "生猪 肉牛 土鸡 山羊 小龙虾 鹌鹑 蜜蜂 黑鱼",
            "disease": "锈病 白粉病 根腐病 蚜虫 条纹病 红蜘蛛 烂根",
            "disease2": "腹泻 蓝耳病 口蹄疫 肠炎 掉毛 球虫病",
            "price": "市场播报 今日批发价 收购站消息 早市 一周农产品",
            "policy": "宅基地 农机购置 土地流转 耕地保护 粮食直补 高标准农田",
            "weather": "倒春寒 连阴雨 冰雹 干旱 台风 早霜",
            "season": "早春 立秋后 梅雨季 入冬前 谷雨前后 伏天",
        },
    ),
    "116": Topic(
        "news_game",
        """
        {game}新版本上线，{hero}{change}
        {game}{hero}怎么出装，国服第一给出答案
        {game}{mode}攻略：{hero}单刷全流程
        {event}总决赛：{person}{hero}拿下五杀
        {game}更新后，{hero}{change}，玩家炸锅
        {game}最强{hero}阵容，{mode}轻松上分
        {game}停服公告发布，老玩家集体告别
        {game}皮肤返场，{hero}限定值不值得买
        {event}：{person}失误送掉{hero}，弹幕沸腾
        新手玩{game}，千万别先练{hero}
        主播{person}直播{game}，{mode}连跪{digit}把
        {game}隐藏彩蛋：{mode}里藏着开发者的名字
        {hero}{change}后胜率暴跌，{game}策划道歉
        {game}手游公测定档，{mode}首次公开
        充了{digit}000块，{game}还是抽不到{hero}
        """,
        {
            "game": "《星尘纪元》 《山海行》 《枪火前线》 《峡谷之光》 《像素农场》 《龙焰》 《迷雾求生》 《机甲学院》",
            "hero": "法师 打野 刺客 射手 治疗 狂战士 召唤师 坦克英雄 女剑客",
            "change": "被削弱 技能重做 迎来加强 禁用率第一 伤害翻倍 移速下调",
            "mode": "排位赛 副本 大逃杀模式 竞技场 团战 无尽塔 公会战",
            "event": "电竞职业联赛 城市争霸赛 全明星赛 季中邀请赛 表演赛 高校电竞赛",
        },
    ),
}
