"""The words of the corpus: who, where, what. Plain tables; the grammar is in stories.py and talk.py."""

GIRLS = ("Lily Mia Anna Emma Sara Nora Ella Rose Lucy Ivy Zoe Maya Ruby Clara Alice Hanna Olga Tina Amy Jane Kate Lena "
         "Marta Nina Polly Sophie Wendy Ada Bella Daisy").split()
BOYS = ("Tom Ben Max Sam Leo Tim Jack Finn Noah Paul Oscar Hugo Emil Peter Adam Jonas Theo Luke Felix Anton Carl David "
        "Erik Fred Henry Ivan Karl Nick Otto Ralph").split()

# Animals that are heroes of stories: kind -> (names, where it lives)
ANIMALS = {
    "rabbit": ("Hop Clover Thumper".split(), "under a hedge"),
    "fox": ("Rusty Red Foxy".split(), "in the forest"),
    "bear": ("Bruno Honey Barny".split(), "in a cave"),
    "mouse": ("Pip Squeak Minnie".split(), "in a tiny hole"),
    "cat": ("Whiskers Tiger Mittens".split(), "in a warm house"),
    "dog": ("Spot Rex Buddy".split(), "on a farm"),
    "duck": ("Daffy Quack Puddle".split(), "by the pond"),
    "frog": ("Freddy Green Hopper".split(), "by the pond"),
    "squirrel": ("Nutty Chip Hazel".split(), "in a tall tree"),
    "hedgehog": ("Spike Prickle Bristle".split(), "under a bush"),
    "owl": ("Olly Hoot Feather".split(), "in an old oak"),
    "bird": ("Robin Sky Tweet".split(), "in a little nest"),
    "pony": ("Star Sugar Brownie".split(), "in a green field"),
    "elephant": ("Ella Trunk Jumbo".split(), "near the river"),
    "turtle": ("Shelly Slowy Toby".split(), "near the river"),
    "pig": ("Rosy Oink Penny".split(), "on a farm"),
}
TRAITS = "kind brave curious clever shy funny happy quiet careful lively gentle cheerful".split()
COLOURS = "red blue green yellow white brown orange purple".split()
PLACES = ("in the park", "in the garden", "by the river", "in the forest", "on the hill", "at the beach", "by the lake",
          "in the yard", "in the meadow", "near the old mill")
WEATHER = ("The sun was shining", "It was a warm day", "The sky was blue", "It was a windy morning",
           "It was a bright morning",
           "The birds were singing", "A soft wind was blowing", "It was a cool autumn day",
           "There were small clouds in the sky")
LIKES = ("to play outside", "to sing songs", "to read books", "to run and jump", "to help others",
         "to look at the stars",
         "to climb", "to draw pictures", "to dance in the rain", "to ask questions", "to listen to stories",
         "to eat apples")
FAMILY = ("mother", "father", "grandmother", "grandfather", "aunt", "uncle", "big sister", "big brother")

# Things a hero owns: noun -> what may happen to it
THINGS = {
    "ball": ("lost", "rolled"), "kite": ("tree", "broke"), "balloon": ("tree",), "boat": ("floated", "broke"),
    "hat": ("wind", "lost", "tree"), "scarf": ("wind", "lost"), "teddy bear": ("lost", "broke"), "book": ("lost",),
    "doll": ("lost", "broke"), "toy car": ("rolled", "broke"), "drum": ("broke", "lost"), "basket": ("floated", "lost"),
    "umbrella": ("wind", "tree"), "key": ("lost",), "ring": ("lost",), "whistle": ("lost",),
          "cart": ("broke", "rolled"),
    "paper plane": ("tree", "wind"), "flute": ("lost",), "lantern": ("broke", "lost"),
}
HIDING = ("under the bed", "behind the door", "in the tall grass", "under a big leaf", "behind a stone",
          "under the table",
          "in an old box", "next to the well", "behind the shed", "under the bench")
FOODS = ("apple pie", "honey cake", "soup", "bread", "cookies", "pancakes", "carrot cake", "jam")
INGREDIENTS = {"apple pie": "apples", "honey cake": "honey", "soup": "carrots", "bread": "flour", "cookies": "sugar",
               "pancakes": "eggs", "carrot cake": "carrots", "jam": "berries"}
SEEDS = ("sunflower", "pumpkin", "bean", "tomato", "rose", "apple tree")
SKILLS = ("swim", "ride a bike", "whistle", "skate", "tie a bow", "fly a kite", "paint", "dance", "juggle",
          "climb a rope")
LESSONS = {
    "help": ("it is good to help each other", "friends help each other", "help makes hard things easy"),
    "share": ("sharing makes everyone happy", "food tastes better with friends", "it is good to share"),
    "try": ("you can learn things if you keep trying", "it is all right to be slow", "practice makes things easy"),
    "brave": ("being brave means to try even when you are afraid", "many dark things are harmless",
              "it helps to look at what scares you"),
    "honest": ("it is best to tell the truth", "the truth makes the heart light", "a good friend forgives"),
    "patient": ("good things need time", "it is good to be patient", "small things grow if you care for them"),
    "kind": ("a kind word can change a day", "small kindness comes back", "being kind makes new friends"),
}
