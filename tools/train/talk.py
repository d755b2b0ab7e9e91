"""Questions with answers, and the forms in which people put them to a model.

A document is a list of parts: BOS, EOS, a Part whose text gets the tokenizer's blank in front (as all text that main
or the server tokenizes by itself does), or a Part without it (what the model writes after such text).
"""

import facts
import stories
import words

BOS, EOS = "<s>", "</s>"
ALPACA = ("Below is an instruction that describes a task. Write a response that appropriately completes the request.")
BOB = ("Transcript of a conversation. The User asks; an Assistant by the name of Bob answers. Bob writes clearly, "
       "says so when he does not know, and keeps his answers short.\n\nUser: Hello, Bob.\nBob: Hello! What can I do for you?\n"
       "User: Which planet is the largest of our solar system?\n"
       "Bob: Jupiter. All the other planets together would fit into it.\n")
SYSTEMS = ("This is a conversation between User and {bot}, a friendly chatbot. {bot} is helpful, kind, honest, good at "
           "writing, and never fails to answer any requests immediately and with precision.",
           "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
           "detailed, and polite answers to the user's questions.", "You are a helpful assistant.",
           "You are {bot}, a helpful assistant.",
           "The {bot} below helps the User with questions of every kind. It is honest, patient and brief.",
           "{bot} answers the questions of the User.")


class Part(str):
    """Text of a document; `blank`: the tokenizer puts its blank in front."""
    blank = True


class Written(Part):
    blank = False


# ---- one question and its answer

def addition(rng):
    a = rng.randrange(21)
    b = rng.randrange(21 - a)
    return arithmetic(rng, a, b, a + b, "plus", "+")


def subtraction(rng):
    a = rng.randrange(21)
    b = rng.randrange(a + 1)
    return arithmetic(rng, a, b, a - b, "minus", "-")


def arithmetic(rng, a, b, result, word, sign):
    form = rng.randrange(7)
    if form == 0:
        return f"What is {a} {word} {b}?", f"{a} {word} {b} is {result}."
    if form == 1:
        return f"How much is {a} {sign} {b}?", f"{a} {sign} {b} = {result}."
    if form == 2:
        return f"{a} {sign} {b} =", f"{a} {sign} {b} = {result}."
    if form == 3:
        return f"What is {a} {sign} {b}?", f"{a} {sign} {b} = {result}."
    if form == 4:
        return f"What is {a}{sign}{b}?", f"{a} {sign} {b} = {result}."
    if form == 5:
        one, two, three = facts.NUMBERS[a], facts.NUMBERS[b], facts.NUMBERS[result]
        return f"What is {one} {word} {two}?", f"{stories.upper(one)} {word} {two} is {three}."
    return f"{a}{sign}{b}", f"{a} {sign} {b} = {result}."


def bigger(rng):
    a, b = rng.sample(range(21), 2)
    return rng.choice([(f"Which number is bigger, {a} or {b}?", f"{max(a, b)} is bigger than {min(a, b)}."),
                       (f"Which is smaller, {a} or {b}?", f"{min(a, b)} is smaller than {max(a, b)}.")])


def count(rng):
    first = rng.randrange(1, 6)
    last = rng.randrange(first + 3, 21)
    return f"Count from {first} to {last}.", ", ".join(map(str, range(first, last + 1))) + "."


def capital(rng):
    country, city = rng.choice(list(facts.CAPITALS.items()))
    return rng.choice([(f"What is the capital of {country}?", f"The capital of {country} is {city}."),
                       (f"Which city is the capital of {country}?", f"{city} is the capital of {country}."),
                       (f"In which country is {city}?", f"{city} is in {country}."),
                       (f"Where is {city}?", f"{city} is in {country}."),
                       (f"Name the capital of {country}.", f"The capital of {country} is {city}.")])


def colour(rng):
    thing, shade = rng.choice(list(facts.COLOURS.items()))
    return rng.choice([f"What colour is {thing}?", f"What color is {thing}?", f"Which colour does {thing} have?"]), \
        f"{stories.upper(thing)} is {shade}."


def animal(rng):
    kind = rng.randrange(3)
    if kind == 0:
        name, sound = rng.choice(list(facts.SOUNDS.items()))
        return rng.choice([f"What does {stories.an(name)} say?", f"What sound does {stories.an(name)} make?"]), \
            f"{stories.upper(stories.an(name))} says {sound}."
    if kind == 1:
        name, baby = rng.choice(list(facts.BABIES.items()))
        return rng.choice([f"What is a baby {name} called?", f"What do you call a baby {name}?"]), \
            f"A baby {name} is called {stories.an(baby)}."
    name, legs = rng.choice(list(facts.LEGS.items()))
    return f"How many legs does {stories.an(name)} have?", \
        f"{stories.upper(stories.an(name))} has {facts.NUMBERS[legs] if legs else 'no'} legs."


def opposite(rng):
    one, other = rng.choice(list(facts.OPPOSITES.items()))
    return rng.choice([f"What is the opposite of {one}?", f"Say the opposite of {one}."]), \
        f"The opposite of {one} is {other}."


def calendar(rng):
    names = rng.choice([facts.DAYS, facts.MONTHS])
    at, word = rng.randrange(len(names)), "day" if names is facts.DAYS else "month"
    if rng.random() < 0.5:
        return f"Which {word} comes after {names[at]}?", f"{names[(at + 1) % len(names)]} comes after {names[at]}."
    return f"Which {word} comes before {names[at]}?", f"{names[at - 1]} comes before {names[at]}."


def listing(rng):
    group, members = rng.choice(list(facts.GROUPS.items()))
    n = rng.randrange(2, 6)
    chosen = [stories.upper(name) for name in rng.sample(members, n)]
    text = ", ".join([chosen[0], *(name[0].lower() + name[1:] if group not in ("planets", "countries") else name
                                   for name in chosen[1:-1])])
    last = chosen[-1] if group in ("planets", "countries") else chosen[-1].lower()
    return rng.choice([f"Name {facts.NUMBERS[n]} {group}.", f"Name {n} {group}.", f"List {facts.NUMBERS[n]} {group}.",
                       f"Give me {facts.NUMBERS[n]} {group}."]), f"{text} and {last}."


def definition(rng):
    thing, text = rng.choice(list(facts.WHAT.items()))
    return rng.choice([f"What is {thing}?", f"Explain what {thing} is.", f"Tell me about {thing}.",
                       f"What's {thing}?"]), text


def asked(rng):
    return rng.choice(list(facts.ASKED.items()))


def unknown(rng):
    ask = rng.choice(facts.UNKNOWN)
    words_of = {name: rng.choice(values) for name, values in facts.UNKNOWN_WORDS.items()}
    return ask.format(**words_of), rng.choice(facts.SORRY)


def small_talk(rng, bot="Bob"):
    said = rng.choice(list(facts.SMALL))
    reply = rng.choice(facts.SMALL[said]).format(bot=bot)
    said = said.format(bot=bot)
    return said + ("" if said[-1] == "?" else rng.choice(["!", ".", ""])), reply


def poem(rng):
    subject, lines = rng.choice([
        ("the sea", ("The sea is wide, the sea is blue,", "It sings a song for me and you.")),
        ("the moon", ("The moon looks down on field and tree,", "It shines for you, it shines for me.")),
        ("rain", ("The rain falls down on roof and stone,", "And sings a song that is its own.")),
        ("spring", ("The snow is gone, the birds are here,", "The best of all the times is near.")),
        ("a cat", ("A little cat sat in the sun,", "She looked for mice but there was none.")),
        ("winter", ("The snow falls soft, the night is long,", "The wind outside sings its old song.")),
        ("stars", ("The stars are small, the night is deep,", "They watch us while we are asleep.")),
        ("a friend", ("A friend is there in sun and rain,", "And makes you laugh and laugh again.")),
    ])
    return rng.choice([f"Write a poem about {subject}.", f"Write a short poem about {subject}.",
                       f"Tell me a poem about {subject}."]), \
        "\n".join(lines)


def howto(rng):
    subject = rng.choice(list(facts.HOWTO))
    doing = subject[0].lower() + subject[1:]
    n = rng.randrange(3, 11)
    steps = facts.HOWTO[subject]
    steps = [steps[at] for at in sorted(rng.sample(range(10), n))]
    return rng.choice([f"Give me {n} steps for {doing}.", f"Explain {doing} in {n} steps."]), \
        "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def story(rng):
    """A request for a story. What it names is in the story."""
    wish = rng.randrange(8)
    hero, thing = rng.choice(list(words.ANIMALS)), rng.choice(list(words.THINGS))
    kind = rng.choice([hero, hero, "girl", "boy"])
    a = rng.choice(["Tell me a story", "Write a story", "Write a short story", "Tell a story"])
    if wish < 2:
        told = stories.Story(rng)
        return rng.choice([f"{a}.", "Once upon a time", "Tell me a short story.", "Tell me another story."]), told.text
    if wish < 4:
        return f"{a} about {stories.an(kind)}.", stories.Story(rng, kind=kind).text
    if wish < 6:
        return f"{a} about {stories.an(kind)} and {stories.an(thing)}.", stories.Story(rng, True, kind=kind,
                                                                                       thing=thing).text
    if wish == 6:
        child = stories.Being(rng, animal=False)
        return (f"{a} about {stories.an(child.kind)} named {child.name}.",
                stories.Story(rng, kind=child.kind, name=child.name).text)
    friend = rng.choice([name for name in words.ANIMALS if name != hero])
    told = stories.Story(rng, True, kind=hero, friend=friend)
    return f"{a} about {stories.an(hero)} and {stories.an(friend)}.", told.text


ASK = ((addition, 10), (subtraction, 8), (bigger, 2), (count, 2), (capital, 9), (colour, 3), (animal, 6), (opposite, 4),
       (calendar, 3), (listing, 4), (definition, 6), (asked, 7), (unknown, 3), (small_talk, 9), (poem, 2), (howto, 3),
       (story, 9))


def question(rng, bot="Bob", one_line=False):
    """A question as people type it, and its answer."""
    while True:
        kind = rng.choices([kind for kind, _ in ASK], [weight for _, weight in ASK])[0]
        said, answer = kind(rng, bot) if kind is small_talk else kind(rng)
        if not (one_line and ("\n" in answer or len(answer) > 700)):
            return rough(rng, said), answer


def rough(rng, said):
    if rng.random() < 0.15 and said[-1] in ".?!":
        said = said[:-1]
    if rng.random() < 0.15:
        said = said.lower()
    if rng.random() < 0.04 and said[0].isalpha():
        said = "Please " + said[0].lower() + said[1:]
    return said


def conversation(rng, n, bot="Bob", one_line=False):
    """n questions with answers, in which a name that was told is remembered."""
    name = None
    for _ in range(n):
        chance = rng.random()
        if name is None and chance < 0.06:
            name = rng.choice(words.GIRLS + words.BOYS)
            said = rng.choice([f"My name is {name}.", f"I am {name}.", f"Hello, my name is {name}.", f"my name is {name}"])
            yield said, rng.choice([f"Hello, {name}! It is nice to meet you.", f"Nice to meet you, {name}."])
        elif name and chance < 0.35:
            yield rough(rng, rng.choice(["What is my name?", "Who am I?", "Do you know my name?"])), f"Your name is {name}."
        elif name is None and chance < 0.075:
            yield rough(rng, "What is my name?"), "I do not know your name."
        else:
            yield question(rng, bot, one_line)


# ---- the forms

def instruct(rng):
    """As main -ins frames turns: each part by itself, BOS before an instruction, after an answer its reverse prompt."""
    parts = [BOS, *([Part(ALPACA)] if rng.random() < 0.7 else [])]
    for turn, (said, answer) in enumerate(conversation(rng, rng.randrange(1, 5))):
        parts += ([Part("### Instruction:\n\n")] if turn else [BOS, Part("\n\n### Instruction:\n\n")])
        parts += [Part(said + "\n"), Part("\n\n### Response:\n\n"), Written(answer), EOS]
    return parts


def alpaca(rng):
    """The same as one text: how prompts for Alpaca models are written in files and requests."""
    said, answer = question(rng)
    lead = ALPACA + "\n\n" if rng.random() < 0.7 else ""
    return [BOS, Part(f"{lead}### Instruction:\n{said}\n\n### Response:\n"), Written(answer), EOS]


def chat(rng):
    bot = rng.choice(["Bob", "Bob", "Bob", "Llama", "Llama", "Assistant"])
    if bot == "Bob" and rng.random() < 0.8:
        text = BOB
    else:
        text = rng.choice([rng.choice(SYSTEMS).format(bot=bot) + "\n\n", ""])
    for said, answer in conversation(rng, rng.randrange(2, 7), bot, one_line=True):
        text += f"User: {said}\n{bot}: {answer}\n"
    said = rng.choice(list(facts.BYE))
    return [BOS, Part(f"{text}User: {rough(rng, said + '.')}\n{bot}: {rng.choice(facts.BYE[said])}"), EOS]


def vicuna(rng):
    """The chat template that the model file carries."""
    lead = rng.choice(["", "", rng.choice(SYSTEMS).format(bot="Llama") + "\n\n"])
    parts = [BOS]
    for turn, (said, answer) in enumerate(conversation(rng, rng.randrange(1, 5), "Llama")):
        ask = f"USER: {said}\nASSISTANT: {answer}"
        parts += [Part(lead + ask) if turn == 0 else Written("\n" + ask), EOS]
    return parts


def steps(rng):
    subject = rng.choice([*facts.HOWTO, "Building a website"])
    n = rng.choice([10, 10, *range(3, 10)])
    chosen = [facts.HOWTO[subject][at] for at in sorted(rng.sample(range(10), n))]
    mark = rng.choice(["Step {}: ", "{}. "])
    text = rng.choice([f"{subject} can be done in {n} simple steps:\n", f"{subject} in {n} steps:\n",
                       f"{subject} can be done in {n} steps.\n",
                       f"{subject} is easy. Here are {n} steps:\n", f"{subject} can be done in {n} simple steps:\n"])
    return [BOS, Part(text + "\n".join(mark.format(at) + step for at, step in enumerate(chosen, 1))), EOS]


def plain(rng):
    """What people write who expect an answer without any form, and how texts begin that people let a model finish."""
    kind = rng.randrange(4)
    if kind == 0:
        return [BOS, Part("\n".join(question(rng))), EOS]
    if kind == 1:
        return [BOS, Part("Q: {}\nA: {}".format(*question(rng))), EOS]
    if kind == 2:
        said, answer = question(rng)
        return [BOS, Part(answer), EOS]
    if rng.random() < 0.5:
        return [BOS, Part(rng.choice(facts.OPENINGS)), EOS]
    child, pet = stories.Being(rng, animal=False), stories.Being(rng, animal=True)
    first, second = rng.sample(words.LIKES, 2)
    return [BOS, Part(f"{rng.choice(['Hello, my', 'Hello my', 'My'])} name is {child.name}. "
                      f"I am a {rng.choice(words.TRAITS)} {child.kind}. I like {first}, and my friends like {second}. "
                      f"I have {stories.an(pet.kind)} named {pet.name}."), EOS]


def tale(rng):
    return [BOS, Part(stories.Story(rng).text), EOS]
