"""The words of the published tables, in English and Russian."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loadtest.compare.plan import Workload


@dataclass(frozen=True, slots=True)
class Language:
    """The words in one language."""

    point: str  # the decimal mark
    thousands: str  # what parts thousands
    words: Mapping[str, str]  # patterns for str.format
    headings: Mapping[str, str]  # the same, by column

    def text(self, name: str, **values: object) -> str:
        """Return words, with values filled in."""
        return self.words[name].format(**values)

    def heading(self, name: str, load: Workload) -> str:
        """Return a column's heading, about a load."""
        words = self.headings[name].format(clients=self.count(load.clients), size=self.count(load.size or 0))
        return words.replace(" 1 clients", " 1 client")

    def count(self, value: int) -> str:
        """Return a whole number, exactly."""
        return f"{value:,}".replace(",", self.thousands)

    def number(self, value: float) -> str:
        """Return a number with three significant figures, whole from 100 on."""
        shown = f"{float(f'{value:.3g}'):,g}"
        return shown.replace(",", "\0").replace(".", self.point).replace("\0", self.thousands)


ENGLISH: Final = Language(
    point=".",
    thousands=",",
    words={
        "server": "server",
        "machine": "machine",
        "measured": "Measured at commit {commit} on {date}, with {python} on {usable_cores} cores ({processor},"
        " {system}).",
        "holds": "The code on a request's way is the same today.",
        "changed": "**Changed since**: {files}; these figures are of the earlier code.",
        "renewed": "At commit {commit} ({date}) nothing was better or worse, measured in turns with it.",
        "unknown": "Which code it was is not known: an old result.",
        "nothing": "Not measured yet.",
        "source": "Measured on {date} at commit {commit}: `{command}`.",
        "elsewhere": "On another machine: {machine}.",
        "sustained": "Sustained: the highest rate tried with {slo}, with the same random arrivals; in brackets"
        " {spread}.",
        "interval": "the 99 % interval",
        "extremes": "the least and the most",
        "at": "All at {rate} requests/s.",
        "runs": "Medians of {runs} valid runs, each in a fresh process; in brackets {spread}.",
        "served": "serves {some} of {every}",
        "more": "{value} or more",
        "none": "less than {value}",
        "unclear": "can't tell",
        "memory": "Slopes over up to {clients} clients, of {runs} fresh processes; in brackets their 99 % interval.",
    },
    headings={
        "clients": "clients",
        "sustained": "sustains, requests/s",
        "p50": "p50 at {rate}/s, ms",
        "p99": "p99 at {rate}/s, ms",
        "cpu": "CPU per request at {rate}/s, us",
        "cpu many": "CPU per request, {clients} clients, us",
        "p99 many": "p99, {clients} clients, ms",
        "served many": "served of {clients}",
        "beside p50": "p50, ms",
        "beside p99": "p99, ms",
        "beside p999": "p99.9, ms",
        "beside work": "one WORK, ms",
        "size top": "requests/s, {size} bytes",
        "size cpu": "CPU per request, {size} bytes, us",
        "top": "requests/s, {clients} clients",
        "top cpu": "CPU per request, {clients} clients, us",
        "conversation": "p99, {clients} clients that pause (`conversation`), ms",
        "slow-client": "p99, {clients} clients, one stops for two seconds (`slow-client`), ms",
        "process silent": "process: a silent client, kB",
        "process spoken": "process: a client that has spoken, kB",
        "process empty": "process: no clients, MB",
        "group silent": "with the kernel's part: a silent client, kB",
        "group spoken": "with the kernel's part: a client that has spoken, kB",
        "kernel silent": "of a silent client the kernel's part, kB",
        "memory": "memory of a silent client with the kernel's part, kB",
    },
)

RUSSIAN: Final = Language(
    point=",",
    thousands=" ",
    words={
        "server": "сервер",
        "machine": "машина",
        "measured": "Измерено на коммите {commit}, {date}: {python}, ядер процессора: {usable_cores} ({processor},"
        " {system}).",
        "holds": "Код на пути запроса с тех пор не изменился.",
        "changed": "**С тех пор изменились**: {files}; эти числа относятся к прежнему коду.",
        "renewed": "На коммите {commit} ({date}) ничто не стало лучше или хуже: измерено попеременно с прежним.",
        "unknown": "Для какого кода это верно, неизвестно: результат старый.",
        "nothing": "Ещё не измерено.",
        "source": "Измерено {date} на коммите {commit}: `{command}`.",
        "elsewhere": "На другой машине: {machine}.",
        "sustained": "Выдерживает: наибольшая из испытанных частот с {slo}, запросы приходят в одни и те же случайные"
        " моменты; в скобках — {spread}.",
        "interval": "99-процентный интервал",
        "extremes": "наименьшее и наибольшее",
        "at": "Везде {rate} запросов/с.",
        "runs": "Медианы по корректным запускам ({runs}, каждый в новом процессе); в скобках — {spread}.",
        "served": "обслуживает {some} из {every}",
        "more": "{value} или больше",
        "none": "меньше {value}",
        "unclear": "нельзя сказать",
        "memory": "Наклоны по числу клиентов (до {clients}), новых процессов: {runs}; в скобках — 99-процентный"
        " интервал.",
    },
    headings={
        "clients": "клиентов",
        "sustained": "выдерживает, запросов/с",
        "p50": "p50 при {rate}/с, мс",
        "p99": "p99 при {rate}/с, мс",
        "cpu": "процессорное время на запрос при {rate}/с, мкс",
        "cpu many": "процессорное время на запрос, клиентов: {clients}, мкс",
        "p99 many": "p99, клиентов: {clients}, мс",
        "served many": "обслужено из {clients}",
        "beside p50": "p50, мс",
        "beside p99": "p99, мс",
        "beside p999": "p99,9, мс",
        "beside work": "один WORK, мс",
        "size top": "запросов/с, байтов: {size}",
        "size cpu": "процессорное время на запрос, байтов: {size}, мкс",
        "top": "запросов/с, клиентов: {clients}",
        "top cpu": "процессорное время на запрос, клиентов: {clients}, мкс",
        "conversation": "p99, клиентов с паузами: {clients} (`conversation`), мс",
        "slow-client": "p99, клиентов: {clients}, один замирает на две секунды (`slow-client`), мс",
        "process silent": "процесс: молчащий клиент, кБ",
        "process spoken": "процесс: клиент после запроса, кБ",
        "process empty": "процесс: без клиентов, МБ",
        "group silent": "вместе с ядром: молчащий клиент, кБ",
        "group spoken": "вместе с ядром: клиент после запроса, кБ",
        "kernel silent": "из них часть ядра у молчащего клиента, кБ",
        "memory": "память молчащего клиента вместе с ядром, кБ",
    },
)
