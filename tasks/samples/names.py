"""Names that several tasks use: people, places, countries, brands. Invented, or too common to be anyone's."""

from __future__ import annotations

NAMES: dict[str, str] = {
    "surname": "林 周 陆 沈 程 许 顾 韩 宋 唐 魏 邱 袁 罗 傅 秦 姜 阮 温 乔 白 霍 叶 裴",
    "given": "一鸣 若溪 建国 思远 小满 志刚 雨桐 明轩 佳宁 海生 文博 晓梅 "
    "子涵 秀英 永强 知夏 立新 春燕 望舒 国栋 静怡 大勇 锦程 月华",
    "person": "{surname}{given}",
    "city": "海州 临江 云溪 青屿 白鹭 安澜 古渡 松岭 南屏 长汀口 丰泽 石桥 望山 沙河 金浦 雁鸣",
    "country": "塔兰 维森 卡洛尼亚 桑图 北洛 伊尔玛 科尔达 马林群岛 奥特兰 巴苏尔 雷诺维亚 蒂卡",
    "brand": "云帆 启明 星野 禾木 蓝鲤 拓远 鼎禾 青枫 凌川 极光点 万叶 恒石 飞鸢 木棉花 北辰谷 聚沙",
    "digit": "3 5 6 8 12 15 20 30 40 60",
    "number": "两 三 四 五 六 七 八 九 十",
}
