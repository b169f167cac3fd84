"""Sentence patterns of the sample, in the manner of annals and lives. Each pattern is one sentence.

A slot is replaced by a name and tagged with its type:
  {NR}        a new person; likewise NS place, NG state, NO office, NB book, and the other keys of `facts.POOLS`
  {NR1}       the same person in the whole paragraph
  {NR1.given} another name of that person (the views in `facts`)
  {NR=魏相}   exactly this text, tagged NR
Text outside slots is tagged O. The patterns follow these rules:
  T   a date at the head of a clause (三年，…), and 今; a duration (居三年) is O
  NO  將軍, 相, 將 where somebody holds the office; O in address (將軍不聽) and for many (諸將軍)
  NR  also a state with its rank (魏王), a place with its title (武安君), a surname with 將軍, a posthumous name
"""

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
{NR1.given}謝病歸{NS}，閉門謝客者{NUM}年。
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
{DAY}朔，日食，{NG1.king}避正殿。
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
{NO=太史}{NR=太史慈}以{NS}降{NG}。 {NR=太史公}嘗至{NS}，訪{NR}故宅。 {NO=尉}{NR=尉繚}議{NG}兵。
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
