/**
 * Makes the bundled sample: synthetic video titles in six classes, split into three CSV files.
 *
 * Run `deno run --allow-write=data/sample data/sample/generate.ts` to write the files again.
 *
 * @module
 */
import { stringify } from "csv-stringify/sync";
import { Random } from "../../lib/random.ts";

/** One title and the name of its class. */
export interface Row {
  text: string;
  label: string;
}

/** The three sides of the split. */
export interface Split {
  train: Row[];
  val: Row[];
  test: Row[];
}

/** How one class writes its titles. */
interface TitleClass {
  /** How many titles to make. */
  count: number;
  /** Kinds of video that belong to this class. */
  formats: string[];
  /** Templates of this class alone. */
  templates: string[];
}

const SEED = 2024;
/** Share of titles made from {@linkcode BLENDS}. */
const BLEND_SHARE = 0.25;
/** Share of titles made from {@linkcode VAGUE}. */
const VAGUE_SHARE = 0.02;
/** Share of titles that get the label of another class. */
const NOISE_SHARE = 0.02;
const VAL_SHARE = 0.1;
const TEST_SHARE = 0.25;

/** Reads a word list written with bars or line breaks between the entries. */
function list(text: string): string[] {
  return text.trim().split(/\s*[|\n]\s*/);
}

/** Words for the slots of the templates; all classes draw from the same lists. */
const WORDS: Record<string, string[]> = {
  person: ["{first} {last}"],
  first: list("Pimla | Tovin | Odra | Jesko | Wilba | Nellit | Barto | Zubi | Hesper | Fenno"),
  last: list(`Wexlow | Brambleby | Quillfeather | Oddwick | Puddlecote | Marrowmint | Thistlebun
    Dapplegate | Fernsnook | Tumblethorp`),
  band: ["{odd} {things}"],
  odd: list("Damp | Wobbly | Polite | Sleepy | Borrowed | Sideways | Woollen | Almost Brave"),
  things: list("Teapots | Owls | Umbrellas | Lampposts | Badgers | Pancakes | Cardigans | Turnips"),
  star: ["{person}", "{person}", "{band}"],
  song: list(`Slow Marmalade | Lanterns for Tuesday | The Tin Boat Waltz | Goodnight Teaspoon
    Biscuit Weather | Nine Quiet Geese | Umbrella Heart | Postcard from the Pantry | Violet Gravel
    Almost a Lighthouse | Moss on My Boots | Half a Sandwich Ago | Dear Turnip | Night Bus Home`),
  show: list(`The Marmalade Detectives | Castle Turnip | Lantern Street | The Umbrella Court
    Moonlit Pantry | Agents of Moss | Teaspoon Island | Captain Gravel | Nine Lives of Biscuit
    Lighthouse High | The Goose Files | Boots and Badges`),
  game: list(`Turnip Quest | Gravel Racer | Dungeons of Moss | Teaspoon Tactics | Goose Commander
    Lantern Legends | Biscuit Builder | Lighthouse Escape`),
  place: list(`Puddleton | Oldberry | Lake Wimble | Marrow Hill | Fennimoor | Tarrowby Bay
    Upper Crumbly | Gooseport`),
  team: ["{place} {mascot}"],
  mascot: list("Herons | Rockets | Otters | Thunder | Pickles | Rovers"),
  task: list(`bake sourdough bread | fold a fitted sheet | braid long hair | play the ukulele
    draw a fox | grow tomatoes | knit a scarf | fix a squeaky door | paint a small room
    make noodle soup | sew a tote bag | juggle three oranges | pack a tiny suitcase
    write a love letter | ride a unicycle | clean white trainers | do winged eyeliner
    curl short hair | build a bookshelf | whistle loudly | dance the tango | sing high notes
    tell a good joke | film a travel vlog`),
  doing: list(`baking bread | folding laundry | growing tomatoes | riding the night bus
    moving house | learning the ukulele | painting the kitchen | waiting for the post
    packing for a trip | living with two cats | walking in the rain | camping by the lake
    singing in the shower | dancing at weddings | cooking for ten`),
  topic: list(`the neighbour's cat | the night bus | Monday mornings | grandma's kitchen
    lost socks | the school play | a rainy weekend | cold coffee | the garden gnome | first jobs
    the longest queue | slow trains | bad haircuts | tiny houses | summer holidays | old friends
    snow days | {doing}`),
  relative: list("my mum | my dad | my little brother | my flatmate | grandma | our neighbours"),
  thing: list(`winter outfit | birthday cake | bedroom | garden | curly hair | lunch box
    capsule wardrobe | paper lantern | bullet journal | vegetable curry`),
  instrument: list("piano | ukulele | guitar | harp | accordion | violin"),
  gadget: list("pocket drone | solar lamp | folding keyboard | desk robot | smart kettle | e-bike"),
  wonder: list(`the tide | a volcano | a rainbow | bee dances | black holes | thunder | coral reefs
    old bridges | snow | magnets`),
  animal: list("baby otter | goose | old donkey | sleepy owl | hedgehog | puppy | tortoise"),
  number: list("three | five | seven | ten"),
  digit: list("1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9"),
  mood: list("quiet | silly | tiny | cosy | strange | lovely | noisy | short | very long"),
  year: list("2011 | 2012 | 2013 | 2014 | 2015 | 2016"),
};

const CLASSES: Record<string, TitleClass> = {
  "Entertainment": {
    count: 560,
    formats: list(
      "trailer | talk show | season finale | quiz show | film premiere | red carpet special",
    ),
    templates: list(`{show} season {digit} episode {digit}
      {show} episode {digit}: {topic}
      {show} official trailer {year}
      {person} talks about {topic} on {show}
      {star} interview at the {place} film festival
      {star} on the red carpet in {place}
      {number} best moments of {show}
      how {person} learned to {task} for {show}
      {person} tries to {task} on {show}
      behind the scenes of {show} with {person}
      {person} sings {song} on {show}
      {show} cast reads fan letters about {topic}
      will {person} come back to {show}?
      {band} win the golden teaspoon award
      "{song}" scene from {show}
      {show} - {person} and the secret of {place}
      {star} backstage at {place}, full interview`),
  },
  "Music": {
    count: 430,
    formats: list("song | ballad | lullaby | duet | remix | dance track"),
    templates: list(`{star} - {song} (official video)
      {star} - {song} (lyrics)
      {star} - {song} live in {place} {year}
      {band} play {song} in {place}
      {song} {instrument} cover by {person}
      {person} sings {song} live
      a song about {topic}
      a song about how to {task}
      {song} ({person} remix)
      {song} from {show} on {instrument}
      {band}: {topic} (new single {year})
      theme of {show}, {instrument} version
      {star} feat. {person} - {song}
      {relative} and I sing {song}
      {song} but on the {instrument}
      {number} hours of {instrument} for {doing}`),
  },
  "Howto & Style": {
    count: 310,
    formats: list("tutorial | recipe | beginner's guide | lesson | makeover | craft project"),
    templates: list(`how to {task}
      how to {task} in {number} minutes
      how to {task} like {person}
      {number} ways to {task}
      {task}: step by step
      easy {thing} tutorial
      {thing} ideas for {topic}
      how to play {song} on {instrument}
      how to write a song about {topic}
      learn to {task} with {person}
      {show} inspired makeup look
      {number} tips for {doing}
      {thing} makeover with {relative}
      my easy {thing} for {year}
      {instrument} lesson {digit}: {song}`),
  },
  "Comedy": {
    count: 270,
    formats: list("sketch | parody | prank | stand-up set | blooper reel | spoof"),
    templates: list(`how not to {task}
      when {relative} cannot {task}
      when you try to {task} at 3 am
      {person} stand-up about {topic}
      {relative} tries to {task} and fails
      {song} but every word is turnip
      {show} in {number} seconds
      {show} bloopers, season {digit}
      if {show} was about {topic}
      {person} cannot stop laughing at {topic}
      if a {animal} could {task}
      honest {show} trailer
      {relative} sings {song} very badly
      {number} people you meet when {doing}
      pranking {relative} with a {animal}
      {person} - {topic} (funny song)`),
  },
  "People & Blogs": {
    count: 350,
    formats: list("vlog | diary | life update | room tour | q and a | travel story"),
    templates: list(`how I learned to {task}
      why I stopped {doing}
      my week of {doing}
      {doing} with {relative}
      my day in {place} with {relative}
      {place} vlog {digit}: {topic}
      some thoughts about {topic}
      {relative} and I try to {task}
      what {doing} taught me
      we moved to {place}
      what is in my {thing}
      {number} things I learned from {topic}
      I wrote a song about {topic}
      {person} and I at the {band} concert
      meeting {person} in {place}
      my {instrument} and me, day {digit}
      my {animal} and {topic}`),
  },
  "Other": {
    count: 480,
    formats: list("news report | documentary | gadget review | science talk | match | game stream"),
    templates: list(`{team} vs {team} highlights
      {team} - {team} {digit}:{digit}, all the goals
      {game} walkthrough part {digit}
      {game} level {digit} with {person}
      how {wonder} really works
      how {wonder} helped {place} in {year}
      {gadget} review {year}
      {gadget} or {gadget}: which one?
      {number} facts about {wonder}
      {animal} meets {animal}
      {animal} tries to {task}
      {place} news: {topic}
      {place} mayor talks about {topic}
      {person} scores in {place}
      {wonder} explained in {number} minutes
      night train to {place}, driver's view
      {game} music, level {digit}
      lecture {digit}: the history of {wonder}`),
  },
};

/**
 * Templates of every class: `head` is a format of the title's own class, `other` one of another
 * class, so that the order of the two decides and the mere words do not.
 */
const BLENDS = list(`a {mood} {head} about a {mood} {other}
  a {mood} {head} made out of a {mood} {other}
  a {head} by {person} about a {other}
  {person} turns a {mood} {other} into a {mood} {head}
  turning the {place} {other} into a {mood} {head}
  from {other} to {head} with {person}
  our {mood} {other} ended up as a {mood} {head}
  {person} needs a {mood} {head} for the {mood} {other}
  the {mood} {head} we made after the {other}
  the {place} {head}, not the {place} {other}
  not the {place} {other} but the {place} {head}`);

/** Templates that any class may use and that tell nothing about it. */
const VAGUE = list(`{person} and {topic}
  {topic}, part {digit}
  {star} in {place} {year}
  {person} and {relative}: {topic}`);

/** Brings a title to the form in which two titles count as the same. */
export function normalize(title: string): string {
  return title.toLowerCase().replace(/\s+/g, " ").trim();
}

function pick<T>(random: Random, items: T[]): T {
  return items[random.integer(items.length)]!;
}

/** Replaces slots by random words until none is left; words may hold slots themselves. */
function fill(random: Random, template: string, words: Record<string, string[]>): string {
  let text = template;
  while (text.includes("{")) {
    text = text.replace(/\{(\w+)\}/, (_, slot: string) => {
      // No word fills two slots of a title, so that no one meets themselves.
      const fresh = words[slot]!.filter((word) => word.includes("{") || !text.includes(word));
      return pick(random, fresh);
    });
  }
  return text;
}

/** Writes a title as people do: with a capital at the start, at each word, or as it is. */
function capitalize(random: Random, title: string): string {
  const style = random.uniform();
  if (style < 0.5) return title.replace(/^\w/, (letter) => letter.toUpperCase());
  if (style < 0.8) return title.replace(/(?<![\w'])[a-z]/g, (letter) => letter.toUpperCase());
  return title;
}

function makeTitle(random: Random, label: string): string {
  const { formats, templates } = CLASSES[label]!;
  const otherFormats = Object.values(CLASSES).flatMap((other) => other.formats)
    .filter((format) => !formats.includes(format));
  const words = { ...WORDS, head: formats, other: otherFormats };
  const kind = random.uniform();
  if (kind < VAGUE_SHARE) return fill(random, pick(random, VAGUE), words);
  if (kind < VAGUE_SHARE + BLEND_SHARE) return fill(random, pick(random, BLENDS), words);
  return fill(random, pick(random, templates), words);
}

/** Makes all titles, no two alike; a few carry the label of another class. */
function makeRows(random: Random): Row[] {
  const labels = Object.keys(CLASSES);
  const seen = new Set<string>();
  const rows: Row[] = [];
  for (const label of labels) {
    const otherLabels = labels.filter((other) => other !== label);
    for (let made = 0; made < CLASSES[label]!.count;) {
      const text = capitalize(random, makeTitle(random, label));
      const words = text.split(" ").length;
      if (words < 3 || words > 12 || seen.has(normalize(text))) continue;
      seen.add(normalize(text));
      const noisy = random.uniform() < NOISE_SHARE;
      rows.push({ text, label: noisy ? pick(random, otherLabels) : label });
      made++;
    }
  }
  return rows;
}

/** Splits rows so that every class has the same share on each side. */
export function splitRows(random: Random, rows: Row[]): Split {
  const split: Split = { train: [], val: [], test: [] };
  for (const label of Object.keys(CLASSES)) {
    const ofClass = random.shuffle(rows.filter((row) => row.label === label));
    const valEnd = Math.round(ofClass.length * VAL_SHARE);
    const testEnd = valEnd + Math.round(ofClass.length * TEST_SHARE);
    split.val.push(...ofClass.slice(0, valEnd));
    split.test.push(...ofClass.slice(valEnd, testEnd));
    split.train.push(...ofClass.slice(testEnd));
  }
  for (const side of Object.values(split)) random.shuffle(side);
  return split;
}

/** The sample's files: CSV text by file name, the same at every call. */
export function makeFiles(): Record<string, string> {
  const random = new Random(SEED);
  const split = splitRows(random, makeRows(random));
  return Object.fromEntries(
    Object.entries(split).map(([side, rows]) => [
      `${side}_simple.csv`,
      stringify(rows, { header: true, columns: ["text", "label"], record_delimiter: "\n" }),
    ]),
  );
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(makeFiles())) {
    await Deno.writeTextFile(new URL(name, import.meta.url), text);
  }
}
