"""Generated stories in the form of bAbI: people walk about, and carry things.

Task 1 asks where a person is, 2 where a thing is, 3 whether a person is at a place.
"""

import numpy as np

from nets.data.babi_files import Question, parse

TASKS = (1, 2, 3)
NAMES = "where a person is", "where a thing is", "yes or no"
_PEOPLE = ("Anna", "Ben", "Carla", "David")
_PLACES = ("kitchen", "garden", "office", "hall", "cellar", "attic")
_THINGS = ("ball", "book", "lamp")
_WALKS = ("went to", "walked to", "moved to", "ran to")
_TAKES = ("took", "picked up", "grabbed")
_DROPS = ("dropped", "put down", "left")
_QUESTIONS = 5  # of a story


def generate(task: int, stories: int, rng: np.random.Generator) -> list[Question]:
    """The questions of so many stories, five of each."""
    lines = [line for _ in range(stories) for line in _Story(task, rng).lines()]
    return parse(lines, "a generated story", task)


class _Story:
    """Who and what is where, with the lines that say so."""

    def __init__(self, task: int, rng: np.random.Generator) -> None:
        self.task, self.rng, self.text = task, rng, []
        self.at: dict[str, tuple[str, int]] = {}  # place of a person, and the line
        self.held: dict[str, tuple[str, int]] = {}  # who holds a thing
        self.left: dict[str, tuple[str, int, int]] = {}  # where one lies; lines: dropped, walked

    def lines(self) -> list[str]:
        asked = 0
        while asked < _QUESTIONS:
            self._event()
            self._event()
            asked += self._ask()
        return self.text

    def _say(self, text: str) -> int:
        self.text.append(f"{len(self.text) + 1} {text}")
        return len(self.text)

    def _one(self, choices: tuple[str, ...] | list[str]) -> str:
        return choices[self.rng.integers(len(choices))]

    def _event(self) -> None:
        person = self._one(_PEOPLE)
        if self.task == 2 and person in self.at and self.rng.random() < 0.5:
            mine = [thing for thing, (who, _) in self.held.items() if who == person]
            place = self.at[person][0]
            there = [
                thing
                for thing in _THINGS
                if thing not in self.held and self.left.get(thing, (place,))[0] == place
            ]
            if mine and (not there or self.rng.random() < 0.5):
                thing = self._one(mine)
                line = self._say(f"{person} {self._one(_DROPS)} the {thing} there.")
                del self.held[thing]
                self.left[thing] = (place, line, self.at[person][1])
                return
            if there:
                thing = self._one(there)
                line = self._say(f"{person} {self._one(_TAKES)} the {thing} there.")
                self.held[thing] = (person, line)
                self.left.pop(thing, None)
                return
        here = self.at.get(person, ("", 0))[0]
        place = self._one([place for place in _PLACES if place != here])
        self.at[person] = (place, self._say(f"{person} {self._one(_WALKS)} the {place}."))

    def _ask(self) -> bool:
        """Asks a question, unless nothing is known."""
        if self.task == 2:
            known = sorted({*self.held, *self.left})
            if not known:
                return False
            thing = self._one(known)
            if thing in self.held:
                person, taken = self.held[thing]
                place, walked = self.at[person]
                support = (taken, walked)
            else:
                place, *support = self.left[thing]
            question, answer = f"Where is the {thing}?", place
        else:
            person = self._one(sorted(self.at))
            place, line = self.at[person]
            question, answer, support = f"Where is {person}?", place, (line,)
            if self.task == 3:
                claimed = (
                    place
                    if self.rng.random() < 0.5
                    else self._one([other for other in _PLACES if other != place])
                )
                question = f"Is {person} in the {claimed}?"
                answer = "yes" if claimed == place else "no"
        self._say(f"{question}\t{answer}\t{' '.join(map(str, support))}")
        return True
