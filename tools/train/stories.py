"""Short stories from a small simulator: a hero, a friend, a thing and a place that stay the same until the end.

A plot is a function of the scene that yields beats; a beat is one sentence or a few that belong together.
"""

import words


def an(noun):
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def upper(text):
    return text[0].upper() + text[1:]


class Being:
    """Somebody in a story. `kind` is girl, boy or an animal; `she`, `her` and `hers` are its pronouns."""

    def __init__(self, rng, taken=(), animal=None, kind=None, name=None):
        if kind is None:
            animal = rng.random() < 0.45 if animal is None else animal
            kind = rng.choice(list(words.ANIMALS)) if animal else rng.choice(["girl", "boy"])
        self.kind = kind
        self.animal = kind in words.ANIMALS
        names = {"girl": words.GIRLS, "boy": words.BOYS}.get(kind) or words.ANIMALS[kind][0]
        self.name = name or rng.choice([name for name in names if name not in taken])
        female = kind == "girl" or self.animal and rng.random() < 0.5
        self.she, self.her, self.hers = ("she", "her", "her") if female else ("he", "him", "his")
        self.She = upper(self.she)

    @property
    def home(self):
        return words.ANIMALS[self.kind][1] if self.animal else "in a small house"


class Scene:
    """What a plot may use. The same words name the same things through the whole story."""

    def __init__(self, rng, kind=None, name=None, thing=None, friend=None):
        self.rng = rng
        self.hero = Being(rng, kind=kind, name=name)
        self.friend = (Being(rng, taken=(self.hero.name,), kind=friend) if friend
                       else Being(rng, taken=(self.hero.name,), animal=self.hero.animal))
        self.thing = thing or rng.choice(list(words.THINGS))
        self.colour = rng.choice(words.COLOURS)
        self.place = rng.choice(words.PLACES)
        self.elder = rng.choice(words.FAMILY)
        self.trait = rng.choice(words.TRAITS)
        self.lesson = "help"
        self.known = friend is not None         # a friend who was asked for is there from the beginning

    def any(self, *wordings):
        return self.rng.choice(wordings)

    def maybe(self, chance, text):
        return [text] if self.rng.random() < chance else []


def opening(s):
    h = s.hero
    yield s.any(
        f"Once upon a time, there was a {s.trait} {h.kind} named {h.name}.",
        f"Once upon a time, there was a little {h.kind} named {h.name}.",
        f"Once upon a time, there was {an(h.kind)} called {h.name}.",
        f"Once upon a time, a {s.trait} {h.kind} named {h.name} lived {h.home}.",
        f"There was once a {s.trait} {h.kind} named {h.name}.",
        f"{h.name} was a {s.trait} little {h.kind}.",
        f"{h.name} was {an(s.trait)} {h.kind} who lived {h.home}.")
    if s.known:
        yield f"{h.She} had a friend, {an(s.friend.kind)} named {s.friend.name}."
    yield from s.maybe(0.6, s.any(
        f"{h.name} liked {s.rng.choice(words.LIKES)}.",
        f"{h.She} liked {s.rng.choice(words.LIKES)}.",
        f"Every day, {h.she} liked {s.rng.choice(words.LIKES)}."))


def meet(s, doing="came along"):
    f = s.friend
    if s.known:
        return f"{s.hero.hers.capitalize()} friend {f.name} {doing}."
    return s.any(f"Then {an(f.kind)} named {f.name} {doing}.",
                 f"Just then, {f.name} the {f.kind} {doing}." if f.animal else
                 f"Just then, a {f.kind} named {f.name} {doing}.",
                 f"{s.hero.hers.capitalize()} friend {f.name} {doing}.")


def asks(s):
    return s.any(f'"What is wrong?" asked {s.friend.name}.', f'"Why are you sad?" {s.friend.name} asked.',
                 f'"Can I help you?" asked {s.friend.name}.', f'{s.friend.name} asked, "What happened?"')


def sad(s):
    h = s.hero
    return s.any(f"{h.name} was very sad.", f"{h.name} began to cry.", f"{h.She} felt sad.",
                 f"{h.name} did not know what to do.",
                 f'"Oh no!" cried {h.name}.', f'"Oh no, my {s.thing}!" said {h.name}.')


def thanks(s):
    h, f = s.hero, s.friend
    return s.any(f'"Thank you, {f.name}!" said {h.name}.', f'"Thank you so much!" said {h.name}.',
                 f'{h.name} hugged {f.name} and said, "Thank you!"',
                 f'{h.name} smiled and said, "Thank you, {f.name}."')


def ending(s):
    h, f = s.hero, s.friend
    lesson = s.rng.choice(words.LESSONS[s.lesson])
    together = () if f is None else (
        f"From that day on, {h.name} and {f.name} were best friends.", f"{h.name} and {f.name} were happy.",
        f"{h.name} and {f.name} laughed and played until the sun went down.")
    yield s.any(f"{h.name} was very happy.", f"In the evening, {h.name} went home with a smile.",
                f"That night, {h.name} slept very well.", *together)
    yield from s.maybe(0.55, s.any(f"{h.name} had learned that {lesson}.", f"Now {h.she} knew that {lesson}.",
                                   f"{h.name} never forgot that {lesson}."))


def owns(s):
    h = s.hero
    return s.any(f"{h.She} had {an(s.colour)} {s.thing}.", f"{h.name} had a new {s.colour} {s.thing}.",
                 f"{h.hers.capitalize()} {s.elder} gave {h.her} {an(s.colour)} {s.thing}.",
                 f"{h.She} loved {h.hers} {s.colour} {s.thing} very much.")


def day(s, doing):
    return s.any(f"One day, {s.hero.name} {doing} {s.place}.", f"One morning, {s.hero.name} {doing} {s.place}.",
                 f"On a sunny day, {s.hero.name} {doing} {s.place}.",
                 f"{s.rng.choice(words.WEATHER)}, and {s.hero.name} {doing} {s.place}.")


# ---- plots about a thing

def lost(s):
    h, f, t = s.hero, s.friend, s.thing
    first, second, third = s.rng.sample(words.HIDING, 3)
    yield owns(s)
    yield s.any(f"One day, {h.name} could not find the {t}.", f"One morning, the {t} was gone.",
                f"But one day, {h.name} lost the {t} {s.place}.")
    yield sad(s)
    yield s.any(f"{h.She} looked {first}, but the {t} was not there.",
                f"{h.name} looked {first} and {second}, but there was no {t}.")
    yield meet(s)
    yield asks(s)
    yield s.any(f'"I lost my {t}," said {h.name}.', f'"My {t} is gone," {h.she} said.')
    yield s.any(f'"Let us look together," said {f.name}.', f'"I will help you," said {f.name}.',
                f'"Do not cry. We will find it," said {f.name}.')
    yield s.any(f"They looked everywhere, and at last {f.name} found the {t} {third}.",
                f"They looked {third}, and there was the {s.colour} {t}!",
                f"Soon {f.name} saw something {s.colour} {third}. It was the {t}!")
    yield thanks(s)


def tree(s):
    h, f, t = s.hero, s.friend, s.thing
    yield owns(s)
    yield day(s, f"played with the {t}")
    yield s.any(f"The wind blew, and the {t} got stuck in a tall tree.",
                f"Suddenly the {t} flew up and got stuck in a tree.",
                f"A strong wind took the {t} and put it high up in a tree.")
    yield sad(s)
    yield s.any(f"{h.name} jumped and jumped, but the tree was too high.",
                f"{h.She} tried to reach it, but {h.she} was too small.")
    yield meet(s)
    yield asks(s)
    yield f'"My {t} is in the tree," said {h.name}.'
    yield s.any(f"{f.name} found a long stick and pushed the {t} down.",
                f"{f.name} climbed up the tree and brought the {t} down.",
                f"{f.name} shook the tree, and the {t} fell down.")
    yield thanks(s)


def floated(s):
    h, f, t = s.hero, s.friend, s.thing
    s.place = s.any("by the river", "by the lake", "by the pond")
    water = s.place.split()[-1]
    yield owns(s)
    yield day(s, f"played with the {t}")
    yield s.any(f"The {t} fell into the water and floated away.",
                f"{h.name} put the {t} into the water, and it floated away.")
    yield sad(s)
    yield s.any(f"The {water} was too deep for {h.her}.", f"{h.She} could not reach it.")
    yield meet(s)
    yield asks(s)
    yield f'"My {t} is in the {water}," said {h.name}.'
    yield s.any(f"{f.name} took a long stick and pulled the {t} out of the water.",
                f"{f.name} jumped into the water and brought the {t} back.",
                f"{f.name} threw a rope over the {t} and pulled it back.")
    yield s.any(f"The {t} was wet, but it was not broken.", f"They put the wet {t} in the sun to dry.")
    yield thanks(s)


def rolled(s):
    h, f, t = s.hero, s.friend, s.thing
    yield owns(s)
    yield day(s, f"played with the {t}")
    yield s.any(f"The {t} rolled away, down and down, into a dark hole.",
                f"The {t} rolled under a big bush with thorns.",
                f"The {t} rolled down the path and was gone.")
    yield s.any(f"{h.name} ran after it, but the {t} was too fast.", f"{h.name} could not reach the {t}.")
    yield sad(s)
    yield meet(s)
    yield asks(s)
    yield f'"My {t} rolled away," said {h.name}.'
    yield s.any(f"{f.name} was not afraid and went to get the {t}.",
                f"{f.name} ran down the path and came back with the {t}.",
                f"{f.name} took a stick and pulled the {t} out.")
    yield thanks(s)


def wind(s):
    h, f, t = s.hero, s.friend, s.thing
    yield owns(s)
    yield s.any(f"One windy day, {h.name} went for a walk with the {t}.",
                f"One day, a strong wind was blowing {s.place}.")
    yield s.any(f"The wind took the {t} and carried it away.", f"Suddenly, the wind blew the {t} away.")
    yield s.any(f"{h.name} ran and ran, but the wind was faster.",
                f'"Stop!" cried {h.name}, but the wind did not stop.')
    yield meet(s) if s.known else f"Then {h.she} met {an(f.kind)} named {f.name}."
    yield f'"Did you see my {s.colour} {t}?" asked {h.name}.'
    yield s.any(f'"Yes, I did," said {f.name}. "It is behind the hill."',
                f'"Yes! It fell into my garden," said {f.name}.',
                f'"Yes, I caught it for you," said {f.name}.')
    yield s.any(f"{f.name} gave the {t} back to {h.name}.", f"Together they went there and got the {t}.")
    yield thanks(s)


def broke(s):
    h, f, t = s.hero, s.friend, s.thing
    yield owns(s)
    yield day(s, f"played with the {t}")
    yield s.any(f"{h.name} fell over a stone, and the {t} broke.", f"The {t} fell to the ground and broke.")
    yield sad(s)
    yield meet(s)
    yield asks(s)
    yield f'"My {t} is broken," said {h.name}.'
    yield s.any(f'"We can mend it," said {f.name}.', f'"Do not worry, I know what to do," said {f.name}.')
    yield s.any(f"{f.name} got some glue, and together they mended the {t}.",
                f"They worked with paper, glue and string all afternoon.")
    yield s.any(f"Soon the {t} was as good as new.", f"In the end, the {t} looked even better than before.")
    yield thanks(s)


def wanted(s):
    """Two want the same thing."""
    h, f, t = s.hero, s.friend, s.thing
    s.lesson = "share"
    yield owns(s)
    yield day(s, f"played with the {t}")
    yield meet(s, "wanted to play, too")
    yield s.any(f'"Can I have the {t}?" asked {f.name}.', f'"May I play with your {t}?" {f.name} asked.')
    yield s.any(f'"No, it is mine!" said {h.name}.', f'{h.name} shook {h.hers} head. "It is my {t}," {h.she} said.')
    yield s.any(f"{f.name} was sad and went away.", f"{f.name} sat down and looked very sad.")
    yield s.any(f"Soon {h.name} felt lonely. Playing alone was no fun.",
                f"{h.name} thought about it. {h.She} did not want {f.name} to be sad.")
    yield s.any(f'"I am sorry, {f.name}," said {h.name}. "Let us play together."',
                f'"Come back, {f.name}!" {h.she} called. "We can share the {t}."')
    yield s.any(f"{f.name} smiled, and they took turns with the {t}.", f"They played with the {t} all day long.")


def truth(s):
    h, f, t = s.hero, s.friend, s.thing
    s.lesson = "honest"
    if not s.known:
        yield s.any(f"{h.name} had a friend named {f.name}.", f"{h.hers.capitalize()} best friend was {f.name}.")
    yield s.any(f"{f.name} had {an(s.colour)} {t}.", f"One day, {f.name} showed {h.her} {an(s.colour)} {t}.")
    yield s.any(f"{h.name} played with the {t}, and it broke.", f"By accident, {h.name} broke the {t}.")
    yield s.any(f"{h.name} was afraid and hid the {t}.", f"{h.She} wanted to run away.")
    yield s.any(f'"Where is my {t}?" asked {f.name}.', f'"Did you see my {t}?" {f.name} asked.')
    yield s.any(f"{h.name} looked at the ground.", f"{h.hers.capitalize()} face turned red.")
    yield s.any(f'"I broke it. I am sorry," said {h.name}.',
                f'"I must tell you the truth," said {h.name}. "I broke it."')
    yield s.any(f'"Thank you for telling me," said {f.name}.',
                f'"It is all right. You told me the truth," said {f.name}.')
    yield s.any(f"Together they mended the {t}.", f"Then they made a new {t} together.")


# ---- plots without a thing

def bake(s):
    h, f = s.hero, s.friend
    food = s.rng.choice(words.FOODS)
    need = words.INGREDIENTS[food]
    s.lesson = "share"
    yield s.any(f"One day, {h.name} wanted to make {food}.",
                f"One morning, {h.name} was hungry and wanted to make {food}.")
    yield s.any(f"But there were no {need} left." if need.endswith("s") else f"But there was no {need} left.",
                f"But {h.she} had no {need}.")
    yield s.any(f"So {h.she} went to {h.hers} friend {f.name}.",
                f"So {h.name} asked {h.hers} neighbour {f.name} for help.")
    yield s.any(f'"Do you have some {need}?" asked {h.name}.',
                f'"Please, can you give me some {need}?" asked {h.name}.')
    yield s.any(f'"Yes, here you are," said {f.name}.', f'"Yes, and I will help you," said {f.name}.')
    yield s.any(f"{h.name} went home and made the {food}.", f"Together they made the {food}.", )
    yield s.any(f"The house smelled wonderful.", f"It smelled very good.",
                f"It was warm and sweet." if food != "soup" else "It was hot and good.")
    yield s.any(f'"Come and eat with me," said {h.name}.', f'"Let us share it," said {h.name}.',
                f"{h.name} gave the biggest part to {f.name}.")


def plant(s):
    h, f = s.hero, s.friend
    seed = s.rng.choice(words.SEEDS)
    s.lesson = "patient"
    yield s.any(f"One spring day, {h.name} found a seed.", f"In spring, {h.name} got a seed from {f.name}.",
                f"One day, {h.hers} {s.elder} gave {h.her} a seed.")
    yield s.any(f"{h.name} put the seed into the ground and gave it water.",
                f"{h.She} planted it in the garden and watered it.")
    yield s.any(f"The next day, nothing was there.", f"{h.She} waited and waited, but nothing happened.")
    yield s.any(f'"Why does it not grow?" asked {h.name}.', f'"It is too slow," said {h.name}.')
    yield s.any(f'"You must wait," said {f.name}.', f'"Give it water and sun," said {f.name}. "Then wait."')
    yield s.any(f"Every day, {h.name} gave the seed some water.", f"So {h.name} watered it every morning.")
    yield s.any(f"After many days, a small green leaf came out of the ground.",
                f"Then one morning, there was a tiny green plant!")
    yield s.any(f"In summer, it was a beautiful {seed}.", f"It grew and grew, and became a big {seed}.")
    yield s.any(f'"Look, {f.name}!" said {h.name}. "I did it!"', f"{h.name} danced around it with {f.name}.")


def learn(s):
    h, f = s.hero, s.friend
    skill = s.rng.choice(words.SKILLS)
    s.lesson = "try"
    yield s.any(f"{h.name} wanted to learn to {skill}.", f"More than anything, {h.name} wanted to {skill}.")
    yield s.any(f"{h.She} tried, but it did not work.", f"The first time, it went wrong.", f"It was very hard.")
    yield s.any(f'"I cannot do it," said {h.name}.', f'"I will never learn to {skill}," said {h.name}.')
    yield s.any(f'"Try again," said {f.name}.', f'{h.hers.capitalize()} friend {f.name} said, "I will show you."',
                f'"It was hard for me, too," said {f.name}.')
    yield s.any(f"{f.name} showed {h.her} how to {skill}.", f"They practiced together every day.")
    yield s.any(f"{h.name} tried again and again.", f"Day by day, {h.name} got better.")
    yield s.any(f"One morning, it worked! {h.name} could {skill}.", f"At last, {h.name} could {skill} very well.")
    yield s.any(f'"I did it!" {h.she} shouted.', f'"Look at me, {f.name}!" said {h.name}.',
                f"{f.name} clapped and was proud.")


def dark(s):
    h, f = s.hero, s.friend
    s.lesson = "brave"
    noise, cause = s.any(("a scratching noise", "a little cat that wanted to come in"),
                         ("a loud knock", "a branch that hit the window"),
                         ("a strange sound", "an old clock"), ("a soft cry", "a lost kitten"))
    yield s.any(f"{h.name} was afraid of the dark.", f"{h.She} did not like dark nights.")
    yield s.any(f"One night, {h.she} heard {noise}.", f"One stormy night, there was {noise}.")
    yield s.any(f'"Who is there?" asked {h.name}, but nobody answered.', f"{h.name} hid under the blanket.")
    yield s.any(f"{h.hers.capitalize()} friend {f.name} woke up, too.", f"{h.She} called {h.hers} friend {f.name}.")
    yield s.any(f'"Let us go and look," said {f.name}.', f'"We can look together," said {f.name}.')
    yield s.any(f"They took a lamp and went slowly to the door.",
                f"Hand in hand, they went with a lamp." if not h.animal else "Side by side, they went to look.")
    yield s.any(f"It was only {cause}.", f"And what did they see? It was only {cause}!")
    yield s.any(f"{h.name} and {f.name} laughed.", f"{h.name} had to laugh.",
                f'"I am not afraid any more," said {h.name}.')


def rescue(s):
    h = s.hero
    small = s.any("bird", "kitten", "puppy", "duckling", "lamb", "butterfly")
    s.lesson = "kind"
    yield s.any(f"One day, {h.name} found a small {small} {s.place}.",
                f"One rainy day, {h.name} saw a little {small} {s.place}.")
    trouble, care = s.any(("It was cold and wet", f"{h.name} put it near the fire and kept it warm"),
                          ("It was hurt and could not move", f"{h.name} put a soft cloth around it and let it rest"),
                          ("It was very hungry", f"{h.name} gave it something to eat and to drink"),
                          ("It had lost its mother", f"{h.name} took it along and looked for its mother"))
    yield trouble + "."
    yield s.any(f'"Poor little {small}," said {h.name}. "I will help you."', f'"Do not be afraid," said {h.name}.')
    yield care + "."
    if "mother" in trouble:
        yield s.any(f"{h.She} asked everyone, and at last they found the mother behind the hill.",
                    f"They walked a long way until they heard the mother call.")
        yield s.any(f"The mother was very happy.", f"The little {small} ran to its mother.")
    else:
        yield s.any(f"After some days, the {small} was well again.", f"Every day, the {small} got stronger.")
        yield s.any(f"Then it was time to say goodbye.", f"It looked at {h.name} and did not want to go.")
    yield s.any(f"{h.name} was proud.", f'"Goodbye, little {small}," said {h.name}.',
                f"{h.She} waved until the {small} was out of sight.")
    s.friend = None


def shy(s):
    h, f = s.hero, s.friend
    s.lesson = "kind"
    yield s.any(f"{h.name} was new in the village and had no friends.", f"{h.name} had just moved to a new home.")
    yield s.any(f"{h.She} saw others play {s.place}, but {h.she} was too shy to ask.",
                f"{h.She} sat alone {s.place} and watched the others.")
    yield meet(s)
    yield from s.any((f'"Hello! What is your name?" asked {f.name}.', f'"My name is {h.name}," {h.she} said softly.'),
                     (f'"Do you want to play with us?" asked {f.name}.',
                      f'"Yes, please," said {h.name} with a small voice.'))
    yield s.any(f"{f.name} took {h.her} along to the others.", f"{f.name} showed {h.her} the best games.")
    yield s.any(f"They played hide and seek all afternoon.", f"They ran, jumped and laughed.",
                f"They built a castle of sand and stones.")
    yield s.any(f'"Will you come again tomorrow?" asked {f.name}.', f'"You are my friend now," said {f.name}.')
    yield s.any(f'"Yes!" said {h.name}.', f"{h.name} smiled.")


def race(s):
    h, f = s.hero, s.friend
    s.lesson = "try"
    goal = s.any("the old oak", "the bridge", "the big stone", "the mill")
    yield s.any(f"{h.name} was not very fast.", f"{h.name} was slow, but {h.she} never gave up.")
    yield s.any(f'One day, {f.name} said, "I am faster than you!"', f'"Let us run a race," said {f.name}.')
    yield s.any(f'"We will run to {goal}," said {h.name}.', f"They wanted to run to {goal}.")
    yield s.any(f'"One, two, three, go!" they shouted.', f"Everyone came to watch.")
    yield s.any(f"{f.name} ran very fast and was soon far ahead.", f"{f.name} was fast and laughed at {h.name}.")
    yield s.any(f"But {f.name} got tired and sat down to rest.", f"But then {f.name} stopped to eat some berries.")
    yield s.any(f"{h.name} went on, step by step.", f"{h.name} did not stop.")
    yield s.any(f"When {f.name} looked up, {h.name} was at {goal}.", f"So {h.name} came to {goal} first.")
    yield s.any(f'"You won," said {f.name}. "Well done!"', f'"Well done, {h.name}!" everyone shouted.')


def gift(s):
    h, f, t = s.hero, s.friend, s.thing
    s.lesson = "kind"
    yield s.any(f"Tomorrow was the birthday of {h.hers} friend {f.name}.",
                f"{h.hers.capitalize()} friend {f.name} had a birthday.")
    yield s.any(f"{h.name} wanted to give {f.her} {an(t)}, but {h.she} had no money.",
                f'"What can I give {f.her}?" thought {h.name}.')
    yield s.any(f"{h.She} asked {h.hers} {s.elder} for help.", f"Then {h.she} had an idea.")
    yield s.any(f"{h.name} took paper, wood and {s.colour} paint and made {an(t)}.",
                f"All night, {h.name} worked, and in the morning there was {an(s.colour)} {t}.")
    yield s.any(f'"Happy birthday, {f.name}!" said {h.name}.', f"{h.name} gave the {t} to {f.name}.")
    yield s.any(f'"Did you make this {t} for me?" asked {f.name}.', f"{f.name} opened the box and saw the {t}.")
    yield s.any(f'"It is the best gift of all," said {f.name}.', f'"I love it!" said {f.name}.')
    yield s.any(f"Then they ate cake and sang songs.", f"They played with the {t} until it was dark.")


def snow(s):
    h, f = s.hero, s.friend
    s.lesson = "patient"
    yield s.any(f"One winter morning, everything was white.", f"In the night, it had snowed.")
    yield s.any(f'"Snow!" shouted {h.name} and ran outside.',
                f"{h.name} put on a warm {s.colour} scarf and ran outside.")
    yield s.any(f"{h.She} met {f.name}, and they made a big snowman.",
                f"{h.name} and {h.hers} friend {f.name} made a big snowman.")
    yield s.any(f"The snowman had a carrot for a nose and two stones for eyes.",
                f"They gave the snowman an old hat and a carrot for a nose.")
    yield s.any(f"But the next day, the sun was warm and the snowman got smaller.",
                f"Then the sun came out, and the snowman began to melt.")
    yield s.any(f'"Our snowman is going away," said {h.name} sadly.', f"{h.name} was sad.")
    yield s.any(f'"He will come back next winter," said {f.name}.',
                f'"We will make a new one next year," said {f.name}.')
    yield s.any(f"They took a last look and drank hot chocolate.", f"So they waved to the snowman and said goodbye.")


def way(s):
    h, f = s.hero, s.friend
    s.lesson = "brave"
    yield s.any(f"One day, {h.name} went for a long walk in the forest.",
                f"One day, {h.name} followed a butterfly into the forest.")
    yield s.any(f"Soon all the trees looked the same.", f"When {h.she} looked around, the path was gone.")
    yield s.any(f'"I am lost," said {h.name}.', f'"Where is my home?" cried {h.name}.')
    yield s.any(f"It got dark, and {h.name} was afraid.", f"{h.She} sat down under a tree.")
    yield meet(s)
    yield s.any(f'"Can you show me the way home?" asked {h.name}.', f'"I cannot find my home," said {h.name}.')
    yield s.any(f'"Follow me," said {f.name}. "I know every tree."',
                f'"Yes. We must go along the river," said {f.name}.')
    yield s.any(f"They walked under the stars and talked all the way.", f"{f.name} went ahead, and {h.name} followed.")
    yield s.any(f"At last, {h.name} saw the lights of home.", f"Soon they could see {h.hers} home.")
    yield thanks(s)


WITH_THING = {"lost": lost, "tree": tree, "floated": floated, "rolled": rolled, "wind": wind, "broke": broke}
ANY_THING = (wanted, truth, gift)
PLAIN = (bake, plant, learn, dark, rescue, shy, race, snow, way)


def pronouns(hero, sentences):
    """Of two sentences that begin with the hero's name, the second gets a pronoun; a third has the name again."""
    name, before = hero.name + " ", ""
    for sentence in sentences:
        if sentence.startswith(name) and before.startswith(name) and not sentence.startswith(name + "and "):
            sentence = hero.She + sentence[len(hero.name):]
        before = sentence
        yield sentence


class Story:
    """A story and what it is about. text: one paragraph that ends with a full stop."""

    def __init__(self, rng, about_thing=None, **wishes):
        scene = Scene(rng, **wishes)
        self.hero, self.friend, self.thing = scene.hero, scene.friend, None
        about_thing = rng.random() < 0.6 if about_thing is None else about_thing
        if about_thing:
            self.thing = scene.thing
            plot = rng.choice([WITH_THING[name] for name in words.THINGS[scene.thing]] * 2 + list(ANY_THING))
        else:
            plot = rng.choice(PLAIN)
        self.plot = plot.__name__
        self.sentences = list(pronouns(scene.hero, [*opening(scene), *plot(scene), *ending(scene)]))

    @property
    def text(self):
        return " ".join(self.sentences)
