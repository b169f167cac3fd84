"""What the sample is made of: facts (names, offices, titles) and our own sentence patterns.

Names are facts and events are invented: nobody here did what a sentence says. Entries are separated by white space.
A name that is also a common word, a state or a title is welcome, for it is what makes tagging hard.

A pattern is one sentence. Its slots:
  {NR}        a person drawn afresh; likewise NS place, NG state, NO office, NB book, and the kinds in `make_sample`
  {NR1}       the same person all through the paragraph
  {NR1.given} another way to name them (the views are in `make_sample`)
  {NR=魏相}   exactly this text, tagged NR
Whatever stands outside a slot is tagged O. Rules that the patterns keep:
  T   a date at the head of a clause (三年，…); a duration (居三年) is O
  NO  將軍, 相, 將 where somebody holds the office; O in address (將軍不聽) and of many (諸將軍)
  NR  a state with its rank (魏王), a place with its title (武安君), a surname with 將軍, a posthumous name
"""

# --- persons: surname·given, with ·style (字) where known. Every fourth entry is drawn rarely (see `make_sample`).
PERSONS = """
魏·相·弱翁 韓·信 周·勃 陳·平 張·良·子房 蕭·何 韓·安國·長孺 李·廣 蘇·武·子卿 魏·無忌 趙·奢 宋·玉 楚·衍 鄭·國 蘇·代 彭·越·仲
項·梁 英·布 季·布 欒·書 士·會 班·固·孟堅 司馬·遷·子長 司馬·錯 司馬·相如·長卿 司馬·穰苴 太史·慈·子義 尉·繚 秦·越人
李·延年 車·千秋 藺·相如 叔孫·通 于·定國·曼倩 張·安世·子孺 吳·漢·子顏 薛·宣·贛君 梁·鴻·伯鸞 商·鞅 衛·青·仲卿 霍·去病
霍·光·子孟 魏·豹 魏·尚 魏·冉 韓·非 韓·延壽·長公 韓·厥 趙·括 趙·高 趙·盾 趙·充國·翁孫 趙·廣漢·子都 宋·義 宋·昌
宋·弘·仲子 秦·開 鄭·吉 鄭·當時·莊 蔡·澤 蔡·邕·伯喈 蔡·倫·敬仲 陳·勝·涉 陳·餘 陳·湯·子公 陳·蕃·仲舉 陳·寔·仲弓 吳·起
吳·芮 吳·廣·叔 梁·冀·伯卓 周·亞夫 周·昌 曹·參 曹·植·子建 唐·雎 唐·蒙 申·不害 樊·噲 灌·嬰 夏侯·嬰 酈·食其 陸·賈 婁·敬
田·橫 田·單 田·儋 項·籍·羽 范·增 龍·且 鍾離·昧 張·耳 張·蒼 張·騫 張·湯 李·牧 李·斯 李·廣利 李·息 王·翦 王·賁 王·離
王·陵 王·恢 蒙·恬 蒙·毅 白·起 廉·頗 樂·毅 樂·羊 孫·武·長卿 孫·臏 龐·涓 伍·員·子胥 范·蠡·少伯 文·種 公孫·弘 公孫·衍
公孫·龍 公孫·賀·子叔 公孫·敖 蘇·秦·季子 蘇·建 張·儀 甘·茂 甘·羅 范·雎·叔 毛·遂 侯·嬴 朱·亥 荊·軻 高·漸離 豫·讓 聶·政
晏·嬰·平仲 鮑·叔牙 百里·奚 先·軫 荀·息 西門·豹 司馬·欣 晁·錯 賈·誼 袁·盎·絲 汲·黯·長孺 灌·夫·仲孺 竇·嬰·王孫 田·蚡
主父·偃 董·仲舒 朱·買臣·翁子 桑·弘羊 路·博德 趙·破奴 金·日磾·翁叔 上官·桀 雋·不疑·曼倩 黃·霸·次公 龔·遂·少卿
丙·吉·少卿 蕭·望之·長倩 劉·向·子政 劉·歆·子駿 揚·雄·子雲 尹·翁歸·子兄 朱·邑·仲卿 卜·式 班·超·仲升 鄧·禹·仲華
馮·異·公孫 馬·援·文淵 耿·弇·伯昭 賈·復·君文 岑·彭·君然 諸葛·亮·孔明 關·羽·雲長 張·飛·益德 趙·雲·子龍 馬·超·孟起
黃·忠·漢升 周·瑜·公瑾 魯·肅·子敬 呂·蒙·子明 陸·遜·伯言 曹·操·孟德 荀·彧·文若 荀·攸·公達 郭·嘉·奉孝 程·昱·仲德
張·遼·文遠 徐·晃·公明 樂·進·文謙 于·禁·文則 許·褚·仲康 鍾·會·士季 鄧·艾·士載 羊·祜·叔子 杜·預·元凱 王·濬·士治
王·導·茂弘 謝·安·安石 謝·玄·幼度 桓·溫·元子 陶·侃·士行 祖·逖·士稚 劉·琨·越石 溫·嶠·太真 殷·浩·深源 嵇·康·叔夜
阮·籍·嗣宗 山·濤·巨源 王·戎·濬沖 陸·機·士衡 左·思·太沖 潘·岳·安仁 魏·徵·玄成 杜·如晦·克明 李·靖·藥師 李·勣·懋功
秦·瓊·叔寶 狄·仁傑·懷英 姚·崇·元之 宋·璟 張·九齡·子壽 郭·子儀 李·光弼 顏·真卿·清臣 韓·愈·退之 柳·宗元·子厚
白·居易·樂天 元·稹·微之 裴·度·中立 范·仲淹·希文 王·安石·介甫 司馬·光·君實 蘇·軾·子瞻 蘇·轍·子由 曾·鞏·子固
沈·括·存中 寇·準·平仲 韓·琦·稚圭 富·弼·彥國 包·拯·希仁 狄·青·漢臣 宗·澤·汝霖 岳·飛·鵬舉 韓·世忠·良臣 陸·游·務觀
"""
NEW_PERSONS = """
耶律·楚材·晉卿 許·衡·仲平 郭·守敬·若思 姚·樞·公茂 劉·秉忠·仲晦 徐·達·天德 常·遇春·伯仁 劉·基·伯溫 宋·濂·景濂
李·善長·百室 湯·和·鼎臣 方·孝孺·希直 于·謙·廷益 王·守仁·伯安 張·居正·叔大 海·瑞·汝賢 戚·繼光·元敬 俞·大猷·志輔
徐·光啟·子先 孫·承宗·稚繩 袁·崇煥·元素 史·可法·憲之 盧·象昇·建斗 解·縉·大紳 楊·榮·勉仁 夏·原吉·維喆 況·鍾·伯律
周·忱·恂如 徐·階·子升 高·拱·肅卿 譚·綸·子理 楊·慎·用修 歸·有光·熙甫 虞·集·伯生 趙·孟頫·子昂 吳·澄·幼清 楊·載·仲弘
揭·傒斯·曼碩 賈·魯·友恆 歐陽·玄·原功
"""
ODD_PERSONS = "張·\ue1e0 李·\ue1e0 王·𠮷 田·𠮷"  # characters that tokenizers lose: private use, outside the BMP

RULERS = """
齊桓公 晉文公 秦穆公 楚莊王 宋襄公 魏文侯 趙武靈王 燕昭王 齊威王 秦孝公 韓昭侯 梁惠王 秦昭王 楚懷王 衛靈公 魯哀公 鄭莊公
晉靈公 漢高祖 漢文帝 漢武帝 光武帝 魏文帝 晉武帝 唐太宗 唐玄宗 宋太祖 宋仁宗
"""
LORDS = """
武安君 平原君 信陵君 孟嘗君 春申君 商君 長安君 安陵君 淮陰侯 絳侯 留侯 曲逆侯 穰侯 應侯 舞陽侯 平陽侯 魏其侯 武安侯 博望侯
冠軍侯
"""
POSTHUMOUS = "文忠 武穆 忠武 文正 忠烈 文貞 襄武 貞惠 康 恭 穆 桓"
SAGES = "管子 老子 莊子 孟子 荀子 墨子 列子 孫子 吳子 晏子 尉繚子 鶡冠子"  # the master and his book share the name

# --- states, each with the rank of its ruler as the last character
STATES = """
魏王 韓王 趙王 楚王 秦王 齊王 燕王 漢王 宋公 魯侯 衛侯 陳侯 蔡侯 鄭伯 晉侯 曹伯 越王 吳王 周王 代王 梁王 中山王 南越王
匈奴王 烏孫王 大宛王 樓蘭王
"""
NEW_STATES = "康居王 龜茲王 疏勒王 高昌王 于闐王"

PLACES = """
武安 平原 長安 高明 代 陳 梁 薛 蔡 蜀 吳 商 留 易 絳 信陵 淮陰 漢中 大梁 咸陽 邯鄲 臨淄 郢 滎陽 成皋 洛陽 彭城 沛 曲逆 鉅鹿
長平 上黨 雲中 雁門 馬邑 平城 晉陽 安邑 少梁 宜陽 函谷 武關 藍田 櫟陽 雍 陳倉 南鄭 巴 成都 江陵 夷陵 襄陽 宛 新野 樊城 合肥
壽春 下邳 廣陵 姑蘇 會稽 豫章 長沙 零陵 桂陽 番禺 蒼梧 交趾 敦煌 酒泉 張掖 武威 玉門 陽關 金城 隴西 天水 安定 北地 朔方 五原
定襄 上谷 漁陽 遼東 遼西 樂浪 薊 涿 中牟 鄴 朝歌 河內 河東 潁川 陽翟 許 昌邑 定陶 濮陽 頓丘 睢陽 外黃 陳留 雍丘 城父 垓下
烏江 東城 蕭 碭 豐 丹陽 武陵 官渡 白馬 延津 黎陽 南皮 柳城 街亭 祁山 劍閣 綿竹 葭萌 江州 永安 夏口 赤壁 烏林 柴桑 建業 濡須
皖城 安陵 廣武 廣平 平陽 安平 高平 永寧
"""
NEW_PLACES = """
大都 上都 開平 集慶 應天 太倉 鳳陽 安慶 南昌 贛州 潮州 泉州 漳州 台州 寧波 大同 宣府 居庸 遵化 寧遠 錦州 廣寧 遼陽 撫順 開原
榆林 固原 嘉峪 哈密 昆明 大理 貴陽 播州 夔州 保寧
"""
OFFICES = """
丞相 相國 相 御史大夫 太尉 大將軍 車騎將軍 衛將軍 驃騎將軍 前將軍 將軍 廷尉 太僕 太常 宗正 少府 大司農 郎中令 衛尉 中尉
執金吾 內史 京兆尹 司隸校尉 太守 都尉 校尉 長史 主簿 功曹 縣令 縣丞 亭長 郎中 中郎將 侍中 給事中 尚書令 尚書 中書令 侍郎 博士
諫大夫 光祿勳 太史令 太子太傅 刺史 別駕 從事 司馬 司徒 司空 大司馬 節度使 觀察使 轉運使 樞密使 翰林學士 知制誥 參知政事 御史
太史 大夫 客卿 上卿 左庶長 令尹 柱國 謁者 典客
"""
BOOKS = """
詩 書 易 禮 春秋 尚書 周禮 儀禮 論語 孝經 爾雅 國語 戰國策 楚辭 離騷 史記 漢書 說文 新語 新書 法言 太玄 論衡 鹽鐵論 說苑 六韜
三略 九章 周髀 山海經 水經 齊民要術 世說 文選 本草
"""
NEW_BOOKS = "通典 通鑑 夢溪筆談 農政全書 近思錄 輟耕錄"

# --- times are composed from these
ERAS = """
建武 永平 建安 太和 元康 永嘉 太康 咸寧 元狩 元鼎 太初 天漢 地節 神爵 甘露 開皇 貞觀 開元 天寶 元和 大中 咸平 景德 慶曆 熙寧
紹興
"""
NEW_ERAS = "至元 大德 延祐 洪武 永樂 宣德 正統 嘉靖"
LATER = "明年 翌年 是歲 是年 其冬 其秋 頃之"
PAST = "昔 昔者 初 往者 曩時"
STEMS, BRANCHES = "甲乙丙丁戊己庚辛壬癸", "子丑寅卯辰巳午未申酉戌亥"
DIGITS = "一二三四五六七八九"

# --- lives: one opening, some deeds, one ending; NR1 is the hero, NR2 the other, NG1 the hero's state
OPENINGS = """
{NR1}者，{NS}人也，其先世仕{NG}。
{NR1}字{NR1.style}，{NS1}人，少孤而好學。
{NR1}字{NR1.style}，{NO}{NR}之外孫也。
{NR1}字{NR1.style}，身長八尺，{NS}人見者異之。
{NR1}，{NG1}之{NO}也，世居{NS}。
{NR1}本{NG}人，避亂徙{NS1}，因家焉。
{NR1}少與{NR2}俱學於{NS}，治《{NB}》。
{NR1}年十五，能誦{NB}，鄉里奇之。
{NG1}人{NR1}，以騎射事{NG1.king}，為{NO}。
{NR1}者，其父嘗為{NS}{NO=令}，有惠於民。
{YEAR}，{NR1}舉賢良，除{NO}。
{NR1}起於{NS}，以{NO}從{RULER}，眾莫知其能。
{NR1}，{NR}之友也，客游{NG}，不得志。
{NR1}自言出於{SAGE.master}之門，{NS}人多從之。
{NG1}有賢者曰{NR1}，隱於{NS}，不應徵。
{NR1}家世為{NO}，及長，獨好{NB}、{NB}。
{PAST}，{NR1}居{NS1}，貧無田，為人牧羊。
{NR1}與{NR2}同日生，俱以文辭知名{NG1}。
"""
DEEDS = """
{YEAR}，{NG1.king}拜{NR1.given}為{NO}，使鎮{NS}。
{NR1.given}素與{NR2}善，及{NR2.given}得罪，{NR1.given}為之請。
{NR1.given}引兵夜襲{NS}，大破之。
{NR1.given}遷{NO}，徙守{NS}，居{NUM}年，盜賊屏息。
{NR1.given}上書言{NG}事，{NG1.king}不聽。
{NR1.given}謝病歸{NS}，杜門不出者{NUM}年。
封{NR1.given}於{NS2}，號{NS2.lord}。
{YEAR}，{NR1.given}卒，諡曰{POST}。
{NR1.given}有二子，長曰{NR.given}，少曰{NR.given}。
{NR1.given}勃然曰：「豈可以{NG}事我哉！」
{NR1.given}聞之，嘆曰：「{NR2}誠吾師也。」
眾皆信{NR1.given}，遂相與推為{NO=將軍}。
{NR1.given}良久曰：「{NS}可取也。」
{NR1.given}布衣時，嘗過{NS}，主人不禮。
會{NR2}反{NS}，{NR1.given}將{NUM}千騎擊之。
{NR1.given}固請，乃以為{NO}。
{NR1.given}與{NR2.given}不平，數相毀於{NG1.king}。
{NR1.given}乃亡走{NG2}，{NG2}人納之。
{NG2.king}聞其賢，欲以為{NG2}{NO=相}，{NR1.given}固辭。
{NR1.given}由是顯名{NG1}、{NG2}之間。
{NR1.given}通{NB}，尤善{NB}，弟子著錄者{NUM}百人。
{NR1.given}嘗從容言於{RULER}曰：「將軍多而兵少，非福也。」
{NR1.given}曰：「將軍不聽臣言，{NS}必亡。」
軍中皆呼為{NR1.general}，不敢名也。
{NR1.general}老矣，猶日馳{NUM}百里至{NS}。
{NR1.given}居{NS}{NUM}年，以疾免。
{LATER}，{NR1.given}復為{NO}，兼領{NS}{NO=太守}。
{NR1.given}晚而喜{NB}，為之注{NUM}篇。
{NR1.given}性廉，為{NO}{NUM}歲，家無餘財。
吏民思{NR1.given}，為立祠於{NS}。
{NR1.given}欲天下長安，乃請罷{NS}之役。
{NR1.given}議論高明，{NO}{NR}自以為不及。
{NR1.given}陳兵平原，以待{NG}師。
{NR1.given}與{LORD}不相能，{LATER}去官。
及{NR1.given}春秋已高，不能騎，{NG1.king}賜之車。
{NG1.king}曰：「非{NR1.given}無可使{NG2}者。」
{NR1.given}數諫，不用，遂之{NG2}。
{NR2}怨{NR1.given}，使客刺之於{NS}，不中。
及{NR1.given}為{NO}，乃薦{NR}、{NR}，皆名士也。
{NR1.given}坐與{NR2}通書，下吏，會赦得出。
{YEAR}，{NG2}兵圍{NS}，{NR1.given}堅守{NUM}月，城不下。
{NR1.given}少子{NR.given}，尚幼，養於{NR2}家。
{NR1.given}從{NS}還，道病，{DAY}卒。
{NR1.style}之名，雖{NG}人亦知之。
論者謂{NR1.style}長於謀而短於斷。
{NR1.given}以為不可，與{NO}{NR}爭於廷。
{NR1.given}賦詩一章，寄{NS}故人，辭甚哀。
{NR1.given}易服出{NS}北門，追者不及。
{NR1.given}為禮甚恭，而{NR2}愈驕。
{NR1.given}曰：「吾安能久事{NG}乎？」
或曰：「{NR2}何以過{NR1.given}哉？」
{NR1.given}亦以為然，遂不復言{NG}事。
{NR1.given}延年養性，將老於{NS}，而{NG1}不許。
"""
ENDINGS = """
贊曰：{NR1}起布衣，佐{RULER}定{NG}，可謂能臣矣。
{NR1}之死，{NG1}無復良{NO=將}。
世言{NR1}不學，觀其注{NB}，豈不學者哉？
{NR1}功大而不賞，{NS}人至{T=今}惜之！
自{NR1}後，為{NS}{NO=守}者皆法其政。
論曰：{NR1.style}之才，過於{NR}遠甚，而位止{NO}。
{NR1}卒後{NUM}年，{NG1}遂亡。
"""

ANNALS = """
{YEAR}，{NG}伐{NG}，取{NS}。
{YEAR}，{NR}為{NO}，鎮{NS}。
{SEASON}，{NG1.king}會{NG2.king}于{NS}。
{DAY}，{NS}地震，壞民舍{NUM}百。
{SEASON}，大水，{NS}、{NS}民饑。
{NYEAR}，{NG1}城{NS}。
{DAY}，以{NO}{NR}為{NO}。
{YEAR}，{NO}{NR}卒，以{NR}代之。
{SEASON}，{RULER}自將擊{NG}，至{NS}而還。
{YEAR}，徙{NS}民{NUM}千家於{NS}。
{DAY}朔，日有食之，{NG1.king}避正殿。
{MONTH}，遣{NO}{NR}循行{NS}，問民疾苦。
{NYEAR}，築{NS}，{NUM}年乃成。
{NG1}攻{NS}，{NUM}月不能下，{MONTH}解去。
{YEAR}，{NG}與{NG}盟於{NS}，相約毋攻。
{DAY}，{RULER}崩，葬{NS}。
{SEASON}，{NG1}饑，{NG2}輸之粟。
{YEAR}，置{NS}郡，以{NR}為{NO=太守}。
{MONTH}，{NG1}{NO=將}{NR}拔{NS}，虜{NO}{NR}。
{YEAR}，罷{NO}官，省入{NO}。
{DAY}，赦{NS}囚徒，賜民爵一級。
{SEASON}，{NG}使{NR}來聘，獻{NB}{NUM}卷。
{YEAR}，{NR}以{NS}降{NG}。
{NYEAR}，{NG}、{NG}、{NG}共擊{NG}，敗之{NS}下。
{YEAR}，{NO}{NR}坐事免，{LORD}行其事。
{SEASON}，隕石于{NS}，凡{NUM}枚。
{MONTH}，幸{NS}，祠{SAGE.master}，講{NB}。
{LATER}，{NG}人殺其{NO}{NR}。
{DAY}，{NR}及{NG}戰于{NS}，敗績。
{YEAR}，益封{LORD}{NUM}百戶，罷就國。
{SEASON}，{NG}師次于{NS}，諸將軍皆欲戰。
{YEAR}，以{NR}為{NG}{NO=相}，{NR}為{NO}。
{YEAR}，{NO}{NR}反，據{NS}，{LORD}討平之。
{NYEAR}，復以{NR}為{NO}，{NUM}日而罷。
{LATER}，{NG1}大疫，{NO}{NR}、{NO}{NR}皆死。
{MONTH}，蝗自{NS}來，蔽天，{NS}尤甚。
{YEAR}，{NG1.land}絕，其民奔{NG2}。
{DAY}，{NG1.king}入{NS}，{LATER}還。
"""

TALKS = """
{NR1}問{NR2}曰：「{NG}與{NG}孰強？」
{NR2}對曰：「{NG1}強而{NG2}多詐，不如與{NG}親。」
{NR}說{NG1.king}曰：「{NG2}得{NS}，則{NG1}危矣！」
客有謂{LORD}曰：「君不聞{NR}之事乎？」
{NR}曰：「吾讀{NB}{NUM}遍，猶未盡其意。」
{RULER}召{NO}{NR}問曰：「{NS}可守乎？」
或曰：「{NR}、{NR}皆賢，宜以為{NO}。」
{NG}使者至，曰：「寡君願以{NS}易{NS}。」
士卒皆曰：「願從將軍死{NS}！」
{RULER}怒曰：「誰言{NR}可為{NO}者！」
{NR}使人謂{NR}曰：「子守{NS}，我攻{NS}，可乎？」
{NR1}笑曰：「{NR}安足與謀？」
{NR2}對曰：「{T=今}{NG1}兵在{NS}，去此{NUM}日程。」
{NR}諫曰：「{T=昔}{NG}以驕亡，{T=今}{NG}又驕，必不久。」
{NR1}報{NR2}曰：「得書，知君在{NS}無恙。」
父老曰：「自{NR}為{NO}，{NS}無夜警。」
{NR}謂其子{NR.given}曰：「汝勿仕{NG}。」
{LORD}問曰：「{LORD}食客幾何？」
{NG1.king}曰善，乃以{NR1}為{NO}。
{NR}歌曰：「山高兮路長，望{NS}兮心傷。」
{NR}嘆曰：「{NG1.land}其亡乎！」
{NR}曰：「臣，{NG}之{NO}也，不敢二心。」
{NR}曰：「諾，{T=明日}至{NS}。」
或問{SAGE1.master}何如人，{NR}曰：「讀{SAGE1.book}可知矣。」
{NG2}聞之，使{NR}賀曰：「大王得{NS}，天下莫不震動。」
{NR1.given}曰：「將軍苦戰，{NG}人豈不知乎？」
{NR2.given}默然，良久乃曰：「信如{NR1}言。」
{NR}曰：「此三人者，{NO}之材也，{NG1.king}不能用。」
"""

# --- notes on places, books and offices, with their lists
NOTES = """
{NS}東有{NS}，西有{NS}，皆險固之地。
自{NS}至{NS}，{NUM}百里，中經{NS}、{NS}。
{NS}，故{NG}地，{YEAR}始為縣。
{NG1}之都曰{NS}，城周{NUM}里。
{NR}、{NR}、{NR}皆{NS}人。
{NG}、{NG}、{NG}、{NG}四國，地相接。
{NS}多竹木，{NS}多魚鹽，商賈通焉。
{NR}注《{NB}》{NUM}卷，又撰《{NB}》音義。
詔{NR}、{NR}等校{NB}於{NS}。
學者稱{NB}難通，獨{NR}能言其義。
《{NB}》、《{NB}》，{NR}所藏也。
{NR}好{SAGE1.book}，每言必稱{SAGE1.master}。
世以《{SAGE1.book}》為{SAGE1.master}自作，非也。
{SAGE.master}游{NG1}，{NG1}人不用，退而著書。
得古簡於{NS}冢中，有{NB}、{NB}，字多不可識。
官有{NO}、{NO}、{NO}，皆{NG}所置。
{NO}秩{NUM}百石，屬{NO}。
{NG}制，{NO}之下有{NO}，掌兵。
凡為{NO}者，{NUM}歲一遷。
{NR}為{NO}，{NR}為{NO}，{NR}為{NO}，各以其職進。
{NS}人祀{LORD}，至{T=今}不絕。
{NS}有{NR}墓，{NS}有{LORD}祠。
{NR}讀{NB}至夜分，忘其寢。
{NR}以{NB}教授{NS}，門人{NUM}百。
{RULER}好{NB}，故{NO}{NR}以經術進。
讀《{SAGE1.book}》者，未必知{SAGE1.master}也。
"""

# --- one family of homographs a line
TRAPS = """
{NG=魏}人{NR=魏相}至{NS}，{NG}{NO=相}禮之。 {NG=魏}與{NG}相攻，{NUM}年不解。 {NR=魏相}既為{NO=相}，引{NR}為{NO}。
{NR=相}不肯與{NR}相見。 {NR=相如}與{NR}相善如兄弟。 {NG=魏}{NO=相}{NR}與{NG}{NO=相}{NR}相遇於{NS}。
{NG=趙}使{NR=趙奢}救{NS}，{NO}{NR}副之。 {NG=趙}人{NR}不為{NR=趙括}下。
{NG=韓}遣{NR=韓非}使{NG}，{NG}人留之。 {NG=韓}、{NG}之{NO=將}，無如{NR=韓信}者。
{NG=宋}不能用{NR=宋玉}，{NR=玉}去之{NG}。 {NG=楚}人{NR=楚衍}為{NG}{NO=相}。 {NR=秦越人}入{NG=秦}，{NO}{NR}迎之。
{NR=鄭國}為渠於{NS}，溉田{NUM}千頃。 {YEAR}，{NG=鄭國}大亂，{NO}{NR}出奔。
{NG}以{NR}代{NR=蘇代}守{NS=代}。 {NG=代}人{NR}代{NR}為{NO}。
{NG=越}人問{NR=彭越}安在，{NR}不對。 {NR}越山入{NG=越}，{NR=越}追之。
{NR=何}為{NO}，或問何以治，{NR=何}笑不答。 {NR}何人，乃與{NR=蕭何}並稱？
{NR=勃}勃然作色，{NO}{NR}不敢言。 {NR=布}雖布衣，{NO}{NR}不能屈。
{NG=陳}人{NR=陳平}陳奇計，{NS}遂平。 {NR=平}平{NS}，還為{NO}。
{NR=信}重信義，{NG}人莫不信{NR=信}者。 {NR=良}，良士也，{NO}{NR}薦之。
{NR=書}遺{NR}書，言{NB=書}不可不讀。 {NR}上書，引{NB=書}、{NB}為證。
會{NR=會}與{NR}會於{NS}，兵未合。 {NR=固}固不從，{NR}固請乃行。
{NO=司馬}{NR=司馬錯}言於{NG1.king}曰：「{NS}可伐。」 {NR=司馬欣}、{NR}皆嘗為{NO=司馬}。
{NO=太史}{NR=太史慈}以{NS}降{NG}。 {NR=太史公}曰：「余過{NS}，見{NR}故宅。」 {NO=尉}{NR=尉繚}議{NG}兵。
{NO=衛將軍}{NR}卒，{NR=衛將軍}哭之。 {NG=衛}將軍數十人皆降{NG}。 將軍{NUM}人，獨{NO=將軍}{NR}力戰。
{NR=武安君}不得入{NS=武安}，{NS=武安}人思{NR}。 {NS=武安}之戰，{NR=武安侯}與{NR}功最多。
{NR=長安君}入{NS=長安}，曰：「民得長安矣，{NR}之力也。」 四境長安，{NG}之福也。 {NR}入{NS=長安}，民皆迎。
{NR=平原君}獵於平原，{NR}從。 {NS=平原}在{NS}北，四望皆平原。 車徒陳於平原，{NO}{NR}閱之。
{NS=高明}人{NR}，識見高明。 {NR}不以高明自處，人以此多之。
{NR}春秋八十，猶讀{NB=春秋}。 {NR}治{NB=春秋}，{NR}治{NB=易}，皆為{NO=博士}。
{NR}賦詩，{NR}引{NB=詩}以對。 {NR}學{NB=易}，以為天下莫易於此。 {NR}以粟易馬於{NS=易}。
{NG}無禮，{NR}說以{NB=禮}。 {NO=尚書}{NR}受{NB=尚書}於{NR}。
甘露降於{NS}，{NO}{NR}以為瑞。 {T=甘露元年}，甘露降，{NG}人來賀。
{NR=延年}祝{NG1.king}曰：「願王延年。」 {NR=千秋}為{NO}，名垂千秋。
{NR=項梁}過{NS=梁}，壞其橋梁，{NG}兵不得渡。 {NR=吳漢}將{NG=漢}兵，自{NS=吳}入{NS}。
{NR=商君}封於{NS=商}，{NS=商}多商賈，{NR}主之。 {NR=薛宣}嘗游{NS=薛}，{NR}不知其貴。
{T=三年}，{NR}居{NS}已三年矣。 {T=元年}，{NR}守{NS}凡二年，{T=二年}乃還。 居三年，{NG}人請{NR}為{NO=相}。
{NR=安國}欲安國家，不欲與{NG}戰。 {NR=于定國}為{NO}，志在定國。 {NR=通}不能通{NB}，{NR}譏之。
{NR=武}不好武，獨好{NB}。 {NR=廣}開地益廣，{NG1.king}喜。 {NR=亮}夜出，月甚亮，{NG}軍見之。
"""

# --- what digitised books hold besides text
DIRTY = """
{ODD}為{NO}，字闕不可識。
{ODD}，{NS}人，舊本作某。
{ODD}與{NR}守{NS}，{NG}不敢近。
{YEAR}，{NO}{ODD}卒。
{NO}{NR}至{NS}<闕，後不可考。
校者曰：「{NS}下脫一字<疑是縣名。」
{NR}&{NR}同為{NO}。
{NG}&{NG}之界，在{NS}。
"""
