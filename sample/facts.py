"""Names of persons, states, places, offices, books and eras for the sample.

The names are real; the events of the sentences are invented. White space separates entries. Names that are also a
common word, a state or a title are wanted, because they make tagging hard. After the lists: how entries are parsed, and
the pools from which slots draw.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

Views = dict[str, tuple[str, str]]  # the ways to name one thing: view -> (entity type, text); "" is the plain name
UNTAGGED = "O"

# --- persons: surname·given, with ·style (字) where known. Every fourth entry is a rare name (see `Pool`).
PERSONS = """
魏·相·弱翁 韓·信 周·勃 陳·平 張·良·子房 蕭·何 韓·安國·長孺 李·廣 蘇·武·子卿 魏·無忌 趙·奢 宋·玉 楚·衍 鄭·國
蘇·代 彭·越·仲 項·梁 英·布 季·布 欒·書 士·會 班·固·孟堅 司馬·遷·子長 司馬·錯 司馬·相如·長卿 司馬·穰苴
太史·慈·子義 尉·繚 秦·越人 李·延年 車·千秋 藺·相如 叔孫·通 于·定國·曼倩 張·安世·子孺 吳·漢·子顏 薛·宣·贛君
梁·鴻·伯鸞 商·鞅 衛·青·仲卿 霍·去病 霍·光·子孟 魏·豹 魏·尚 魏·冉 韓·非 韓·延壽·長公 韓·厥 趙·括 趙·高 趙·盾
趙·充國·翁孫 趙·廣漢·子都 宋·義 宋·昌 宋·弘·仲子 秦·開 鄭·吉 鄭·當時·莊 蔡·澤 蔡·邕·伯喈 蔡·倫·敬仲 陳·勝·涉
陳·餘 陳·湯·子公 陳·蕃·仲舉 陳·寔·仲弓 吳·起 吳·芮 吳·廣·叔 梁·冀·伯卓 周·亞夫 周·昌 曹·參 曹·植·子建 唐·雎
唐·蒙 申·不害 樊·噲 灌·嬰 夏侯·嬰 酈·食其 陸·賈 婁·敬 田·橫 田·單 田·儋 項·籍·羽 范·增 龍·且 鍾離·昧 張·耳 張·蒼
張·騫 張·湯 李·牧 李·斯 李·廣利 李·息 王·翦 王·賁 王·離 王·陵 王·恢 蒙·恬 蒙·毅 白·起 廉·頗 樂·毅 樂·羊
孫·武·長卿 孫·臏 龐·涓 伍·員·子胥 范·蠡·少伯 文·種 公孫·弘 公孫·衍 公孫·龍 公孫·賀·子叔 公孫·敖 蘇·秦·季子 蘇·建
張·儀 甘·茂 甘·羅 范·雎·叔 毛·遂 侯·嬴 朱·亥 荊·軻 高·漸離 豫·讓 聶·政 晏·嬰·平仲 鮑·叔牙 百里·奚 先·軫 荀·息
西門·豹 司馬·欣 晁·錯 賈·誼 袁·盎·絲 汲·黯·長孺 灌·夫·仲孺 竇·嬰·王孫 田·蚡 主父·偃 董·仲舒 朱·買臣·翁子 桑·弘羊
路·博德 趙·破奴 金·日磾·翁叔 上官·桀 雋·不疑·曼倩 黃·霸·次公 龔·遂·少卿 丙·吉·少卿 蕭·望之·長倩 劉·向·子政
劉·歆·子駿 揚·雄·子雲 尹·翁歸·子兄 朱·邑·仲卿 卜·式 班·超·仲升 鄧·禹·仲華 馮·異·公孫 馬·援·文淵 耿·弇·伯昭
賈·復·君文 岑·彭·君然 諸葛·亮·孔明 關·羽·雲長 張·飛·益德 趙·雲·子龍 馬·超·孟起 黃·忠·漢升 周·瑜·公瑾 魯·肅·子敬
呂·蒙·子明 陸·遜·伯言 曹·操·孟德 荀·彧·文若 荀·攸·公達 郭·嘉·奉孝 程·昱·仲德 張·遼·文遠 徐·晃·公明 樂·進·文謙
于·禁·文則 許·褚·仲康 鍾·會·士季 鄧·艾·士載 羊·祜·叔子 杜·預·元凱 王·濬·士治 王·導·茂弘 謝·安·安石 謝·玄·幼度
桓·溫·元子 陶·侃·士行 祖·逖·士稚 劉·琨·越石 溫·嶠·太真 殷·浩·深源 嵇·康·叔夜 阮·籍·嗣宗 山·濤·巨源 王·戎·濬沖
陸·機·士衡 左·思·太沖 潘·岳·安仁 魏·徵·玄成 杜·如晦·克明 李·靖·藥師 李·勣·懋功 秦·瓊·叔寶 狄·仁傑·懷英
姚·崇·元之 宋·璟 張·九齡·子壽 郭·子儀 李·光弼 顏·真卿·清臣 韓·愈·退之 柳·宗元·子厚 白·居易·樂天 元·稹·微之
裴·度·中立 范·仲淹·希文 王·安石·介甫 司馬·光·君實 蘇·軾·子瞻 蘇·轍·子由 曾·鞏·子固 沈·括·存中 寇·準·平仲
韓·琦·稚圭 富·弼·彥國 包·拯·希仁 狄·青·漢臣 宗·澤·汝霖 岳·飛·鵬舉 韓·世忠·良臣 陸·游·務觀
"""
NEW_PERSONS = """
耶律·楚材·晉卿 許·衡·仲平 郭·守敬·若思 姚·樞·公茂 劉·秉忠·仲晦 徐·達·天德 常·遇春·伯仁 劉·基·伯溫 宋·濂·景濂
李·善長·百室 湯·和·鼎臣 方·孝孺·希直 于·謙·廷益 王·守仁·伯安 張·居正·叔大 海·瑞·汝賢 戚·繼光·元敬 俞·大猷·志輔
徐·光啟·子先 孫·承宗·稚繩 袁·崇煥·元素 史·可法·憲之 盧·象昇·建斗 解·縉·大紳 楊·榮·勉仁 夏·原吉·維喆 況·鍾·伯律
周·忱·恂如 徐·階·子升 高·拱·肅卿 譚·綸·子理 楊·慎·用修 歸·有光·熙甫 虞·集·伯生 趙·孟頫·子昂 吳·澄·幼清
楊·載·仲弘 揭·傒斯·曼碩 賈·魯·友恆 歐陽·玄·原功
"""
ODD_PERSONS = "張·\ue1e0 李·\ue1e0 王·𠮷 田·𠮷"  # characters that tokenizers lose: private use, outside the BMP

RULERS = """
齊桓公 晉文公 秦穆公 楚莊王 宋襄公 魏文侯 趙武靈王 燕昭王 齊威王 秦孝公 韓昭侯 梁惠王 秦昭王 楚懷王 衛靈公
魯哀公 鄭莊公 晉靈公 漢高祖 漢文帝 漢武帝 光武帝 魏文帝 晉武帝 唐太宗 唐玄宗 宋太祖 宋仁宗
"""
LORDS = """
武安君 平原君 信陵君 孟嘗君 春申君 商君 長安君 安陵君 淮陰侯 絳侯 留侯 曲逆侯 穰侯 應侯 舞陽侯 平陽侯 魏其侯
武安侯 博望侯 冠軍侯
"""
POSTHUMOUS = "文忠 武穆 忠武 文正 忠烈 文貞 襄武 貞惠 康 恭 穆 桓"
SAGES = "管子 老子 莊子 孟子 荀子 墨子 列子 孫子 吳子 晏子 尉繚子 鶡冠子"  # the master and his book have the same name

# --- states, each with the rank of its ruler as the last character
STATES = """
魏王 韓王 趙王 楚王 秦王 齊王 燕王 漢王 宋公 魯侯 衛侯 陳侯 蔡侯 鄭伯 晉侯 曹伯 越王 吳王 周王 代王 梁王 中山王
南越王 匈奴王 烏孫王 大宛王 樓蘭王
"""
NEW_STATES = "康居王 龜茲王 疏勒王 高昌王 于闐王"

PLACES = """
武安 平原 長安 高明 代 陳 梁 薛 蔡 蜀 吳 商 留 易 絳 信陵 淮陰 漢中 大梁 咸陽 邯鄲 臨淄 郢 滎陽 成皋 洛陽 彭城
沛 曲逆 鉅鹿 長平 上黨 雲中 雁門 馬邑 平城 晉陽 安邑 少梁 宜陽 函谷 武關 藍田 櫟陽 雍 陳倉 南鄭 巴 成都 江陵
夷陵 襄陽 宛 新野 樊城 合肥 壽春 下邳 廣陵 姑蘇 會稽 豫章 長沙 零陵 桂陽 番禺 蒼梧 交趾 敦煌 酒泉 張掖 武威 玉門
陽關 金城 隴西 天水 安定 北地 朔方 五原 定襄 上谷 漁陽 遼東 遼西 樂浪 薊 涿 中牟 鄴 朝歌 河內 河東 潁川 陽翟 許
昌邑 定陶 濮陽 頓丘 睢陽 外黃 陳留 雍丘 城父 垓下 烏江 東城 蕭 碭 豐 丹陽 武陵 官渡 白馬 延津 黎陽 南皮 柳城
街亭 祁山 劍閣 綿竹 葭萌 江州 永安 夏口 赤壁 烏林 柴桑 建業 濡須 皖城 安陵 廣武 廣平 平陽 安平 高平 永寧
"""
NEW_PLACES = """
大都 上都 開平 集慶 應天 太倉 鳳陽 安慶 南昌 贛州 潮州 泉州 漳州 台州 寧波 大同 宣府 居庸 遵化 寧遠 錦州 廣寧
遼陽 撫順 開原 榆林 固原 嘉峪 哈密 昆明 大理 貴陽 播州 夔州 保寧
"""
OFFICES = """
丞相 相國 相 御史大夫 太尉 大將軍 車騎將軍 衛將軍 驃騎將軍 前將軍 將軍 廷尉 太僕 太常 宗正 少府 大司農 郎中令
衛尉 中尉 執金吾 內史 京兆尹 司隸校尉 太守 都尉 校尉 長史 主簿 功曹 縣令 縣丞 亭長 郎中 中郎將 侍中 給事中
尚書令 尚書 中書令 侍郎 博士 諫大夫 光祿勳 太史令 太子太傅 刺史 別駕 從事 司馬 司徒 司空 大司馬 節度使 觀察使
轉運使 樞密使 翰林學士 知制誥 參知政事 御史 太史 大夫 客卿 上卿 左庶長 令尹 柱國 謁者 典客
"""
BOOKS = """
詩 書 易 禮 春秋 尚書 周禮 儀禮 論語 孝經 爾雅 國語 戰國策 楚辭 離騷 史記 漢書 說文 新語 新書 法言 太玄 論衡
鹽鐵論 說苑 六韜 三略 九章 周髀 山海經 水經 齊民要術 世說 文選 本草
"""
NEW_BOOKS = "通典 通鑑 夢溪筆談 農政全書 近思錄 輟耕錄"

# --- times are composed from these
ERAS = """
建武 永平 建安 太和 元康 永嘉 太康 咸寧 元狩 元鼎 太初 天漢 地節 神爵 甘露 開皇 貞觀 開元 天寶 元和 大中 咸平
景德 慶曆 熙寧 紹興
"""
NEW_ERAS = "至元 大德 延祐 洪武 永樂 宣德 正統 嘉靖"
LATER = "明年 翌年 是歲 是年 其冬 其秋 頃之"
PAST = "昔 昔者 初 往者 曩時"
STEMS, BRANCHES = "甲乙丙丁戊己庚辛壬癸", "子丑寅卯辰巳午未申酉戌亥"
DIGITS = "一二三四五六七八九"


# --- names and their views


def _single_name(entity_type: str) -> Callable[[str], Views]:
    """Return a parser of entries that have one name only."""
    return lambda text: {"": (entity_type, text)}


def _person(entry: str) -> Views:
    """Parse 周·勃 or 張·良·子房. After the first mention, annals use the given name or the style alone."""
    surname, given, *style = entry.split("·")
    views = {"": ("NR", surname + given), "given": ("NR", given), "general": ("NR", surname + "將軍")}
    return views | ({"style": ("NR", style[0])} if style else {})


def _state(entry: str) -> Views:
    """Parse 魏王: the state 魏, its ruler 魏王, and 魏國. Such a longer name can be a person too (鄭國)."""
    name = entry[:-1]
    views = {"": ("NG", name), "king": ("NR", entry)}
    return views | ({"land": ("NG", name + "國")} if len(name) == 1 else {})


def _place(entry: str) -> Views:
    """Parse 武安: the place, and its lord 武安君, a person."""
    return {"": ("NS", entry), "lord": ("NR", entry + "君")}


def _sage(entry: str) -> Views:
    """Parse 管子: a person and the book with his name."""
    return {"master": ("NR", entry), "book": ("NB", entry)}


@dataclass(frozen=True)
class Pool:
    """Names for one kind of slot. usual, rare: for all text; new: for the books to tag only."""

    usual: list[Views]
    rare: list[Views]
    new: list[Views]


def _pool(parse: Callable[[str], Views], entries: Iterable[str], *, new: str = "", rare: bool = False) -> Pool:
    """Parse entries into a pool. rare: every fourth entry becomes a rare one."""
    views = [parse(entry) for entry in entries]
    return Pool(
        usual=[v for i, v in enumerate(views) if not rare or i % 4 != 3],
        rare=[v for i, v in enumerate(views) if rare and i % 4 == 3],
        new=[parse(entry) for entry in new.split()],
    )


def _numerals(first: int, last: int) -> list[str]:
    """Return the numerals from `first` to `last`, which is 19 at most."""
    return ["十" * (n > 9) + (DIGITS[n % 10 - 1] if n % 10 else "") for n in range(first, last + 1)]


def _pools() -> dict[str, Pool]:
    """Return a pool for each slot name. Times are composed here."""
    years = [f"{n}年" for n in ["元", *_numerals(2, 19)]]
    months = ["正月", *(f"{n}月" for n in _numerals(2, 12)), "閏月"]
    quarters = zip("春夏秋冬", (months[:3], months[3:6], months[6:9], months[9:12]), strict=True)
    seasons = [text for name, three in quarters for text in (name, *(name + month for month in three))]
    days = [STEMS[i % 10] + BRANCHES[i % 12] for i in range(60)]
    new_years = " ".join(era + year for era in NEW_ERAS.split() for year in years)
    return {
        "NR": _pool(_person, PERSONS.split(), new=NEW_PERSONS, rare=True),
        "NS": _pool(_place, PLACES.split(), new=NEW_PLACES, rare=True),
        "NG": _pool(_state, STATES.split(), new=NEW_STATES),
        "NO": _pool(_single_name("NO"), OFFICES.split()),
        "NB": _pool(_single_name("NB"), BOOKS.split(), new=NEW_BOOKS),
        "ODD": _pool(_person, ODD_PERSONS.split()),
        "RULER": _pool(_single_name("NR"), RULERS.split()),
        "LORD": _pool(_single_name("NR"), LORDS.split()),
        "POST": _pool(_single_name("NR"), POSTHUMOUS.split()),
        "SAGE": _pool(_sage, SAGES.split()),
        "YEAR": _pool(_single_name("T"), [era + year for era in ERAS.split() for year in years], new=new_years),
        "NYEAR": _pool(_single_name("T"), years),
        "SEASON": _pool(_single_name("T"), seasons),
        "MONTH": _pool(_single_name("T"), months),
        "DAY": _pool(_single_name("T"), days),
        "LATER": _pool(_single_name("T"), LATER.split()),
        "PAST": _pool(_single_name("T"), PAST.split()),
        "NUM": _pool(_single_name(UNTAGGED), [*_numerals(2, 9), "數"]),
    }


POOLS = _pools()
