"""A hundred thousand people to be found: names of many scripts, as unevenly spread as real ones."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SHARES = {
    "english": 34, "spanish": 12, "german": 8, "polish": 4, "vietnamese": 4, "russian": 8, "greek": 3,
    "arabic": 7, "thai": 3, "chinese": 9, "japanese": 5, "korean": 3,
}  # fmt: skip
NAMES: dict[str, tuple[str, str]] = {
    "english": (
        "James Mary John Ann Robert Patricia Michael Jennifer William Linda David Elizabeth Joseph Joanna "
        "Thomas Susan Charles Jessica Daniel Sarah Anthony Karen Mark Nancy Steven Lisa Andrew Betty Joshua "
        "Anna Kevin Emily Brian Michelle George Amanda Edward Melissa Ronald Deborah Jordan Hannah Quentin",
        "Smith Johnson Williams Brown Jones Miller Davis Wilson Anderson Taylor Moore Jackson Martin Lee "
        "Thompson White Harris Clark Lewis Robinson Walker Young Allen King Wright Scott Hill Green Adams "
        "Baker Nelson Carter Mitchell Roberts Turner Phillips Campbell Parker Evans Edwards Collins O'Neill",
    ),
    "spanish": (
        "José María Juan Ana Luis Carmen Carlos Lucía Jesús Sofía Ángel Andrés Inés Begoña Iñaki Raúl Nuria",
        "García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez Martín Jiménez Ruiz Núñez "
        "Hernández Díaz Moreno Muñoz Álvarez Romero Alonso Gutiérrez Navarro Torres Domínguez Vázquez Peña",
    ),
    "german": (
        "Jürgen Günter Jörg Ann-Kathrin Käthe Zoë Anja Björn Sören Uwe Heike Sabine Matthias Götz Bärbel",
        "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer Groß "
        "Köhler König Krüger Größer Jäger Böhm Weiß Strauß Ångström Øster",
    ),
    "polish": (
        "Łukasz Małgorzata Paweł Agnieszka Michał Zofia Wojciech Joanna Stanisław Bożena Tomasz Grażyna",
        "Nowak Kowalski Wiśniewski Wójcik Kowalczyk Kamiński Lewandowski Zieliński Szymański Dąbrowski",
    ),
    "vietnamese": (
        "Anh Bình Châu Dũng Đức Giang Hương Khánh Linh Minh Ngọc Phương Quân Thảo Trang Tuấn Vân Yến",
        "Nguyễn Trần Lê Phạm Hoàng Huỳnh Phan Vũ Võ Đặng Bùi Đỗ Hồ Ngô Dương Lý",
    ),
    "russian": (
        "Александр Мария Сергей Анна Дмитрий Елена Андрей Ольга Алексей Наталья Иван Татьяна Фёдор Юлия Пётр",
        "Иванов Смирнова Кузнецов Попова Васильев Петрова Соколов Михайлова Новиков Фёдорова Морозов Волкова",
    ),
    "greek": (
        "Γιώργος Μαρία Δημήτρης Ελένη Κώστας Κατερίνα Νίκος Βασιλική Γιάννης Σοφία Παναγιώτης Αγγελική",
        "Παπαδόπουλος Βλάχου Αγγελόπουλος Νικολαΐδης Γεωργίου Πέτρου Δημητρίου Κωνσταντίνου Οικονόμου",
    ),
    "arabic": (
        "محمد فاطمة أحمد عائشة علي خديجة عمر مريم يوسف زينب إبراهيم ليلى خالد سارة حسن نور",
        "العلي الأحمد المصري الحسن الخطيب النجار حداد الشامي العمري القاسم السيد البغدادي",
    ),
    "thai": (
        "สมชาย สมหญิง ประเสริฐ มาลี วิชัย สุดา อนันต์ กมลชนก ณัฐพล พิมพ์ชนก ธนากร ศิริพร",
        "ใจดี รักไทย แสงทอง ศรีสุข วงศ์ไทย บุญมี ทองดี สุขใจ พงษ์พันธ์ เจริญสุข",
    ),
    "chinese": (
        "伟 芳 娜 秀英 敏 静 丽 强 磊 军 洋 勇 艳 杰 娟 涛 明 超 秀兰 霞 平 刚 桂英 小龙 子涵 浩然 欣怡 梓萱",
        "王 王 王 李 李 李 张 张 刘 陈 杨 黄 赵 吴 周 徐 孙 马 朱 胡 林 郭 何 高 罗 欧阳",
    ),
    "japanese": (
        "翔太 花子 健一 さくら 拓也 美咲 大輔 陽菜 直樹 葵 はなこ ゆうき 結衣 蓮 ケンジ",
        "佐藤 鈴木 高橋 田中 渡辺 伊藤 山本 中村 小林 加藤 吉田 山田 たなか さとう",
    ),
    "korean": (
        "민준 서연 지훈 지우 철수 영희 현우 수빈 도윤 하은 은우 예진",
        "김 김 김 이 이 박 박 최 정 강 조 윤 장 임",
    ),
}
_ENDINGS = {
    "english": "son man ley ton ford well wood by field worth",
    "german": "mann bauer hauser inger stein hofer",
    "polish": "ski czyk owicz",
    "russian": "ов ский енко ин",
    "greek": "ίδης άκης όπουλος",
}
"""Every other last name of these is one of many rare ones."""

_INTERESTS = (
    "music travel football cooking photography jazz hiking chess yoga climbing sailing ceramics astronomy "
    "写真 料理 旅行 음악 шахматы musique théâtre Fußball falconry bookbinding kendo beekeeping origami rowing"
)
UNIVERSITIES = (
    "ETH Zürich",
    "MIT",
    "清华大学",
    "東京大学",
    "МГУ",
    "Uniwersytet Warszawski",
    "UNAM",
    "Oxford",
)


@dataclass(frozen=True, slots=True)
class Profile:
    """What somebody says of themselves."""

    name: str
    handle: str
    interests: tuple[str, ...]
    university: str


def profiles(count: int, seed: int = 1) -> Iterator[Profile]:
    """So many people, the same ones for the same seed."""
    dice = random.Random(seed)
    lists = {script: (first.split(), last.split()) for script, (first, last) in NAMES.items()}
    scripts, shares, interests = list(SHARES), list(SHARES.values()), _INTERESTS.split()
    for number in range(count):
        script = dice.choices(scripts, shares)[0]
        first, last = (_uneven(dice, names) for names in lists[script])
        if script in _ENDINGS and dice.random() < 0.5:
            last = dice.choice(lists[script][1])[:4].rstrip("aeiouyό") + dice.choice(_ENDINGS[script].split())
        yield Profile(
            name=_written(script, first, last),
            handle=_handle(dice, script, first, last, number),
            interests=tuple({_uneven(dice, interests) for _ in range(dice.randint(0, 5))}),
            university=_uneven(dice, UNIVERSITIES) if dice.random() < 0.3 else "",
        )


def _uneven(dice: random.Random, names: Sequence[str]) -> str:
    """Some names are much more common than others."""
    return names[min(int(dice.expovariate(4.0) * len(names)), len(names) - 1)]


def _written(script: str, first: str, last: str) -> str:
    return f"{last}{first}" if script in ("chinese", "japanese", "korean") else f"{first} {last}"


def _handle(dice: random.Random, script: str, first: str, last: str, number: int) -> str:
    """Names where they are Latin, a word and a number elsewhere; always another one."""
    plain = f"{first}.{last}".lower().replace("'", "")
    if script == "english" and dice.random() < 0.8:
        return f"{plain}{number}"
    return f"{dice.choice(('user', 'real', 'its', 'the', script))}_{number}"
