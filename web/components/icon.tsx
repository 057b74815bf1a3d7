/**
 * Icons; the text beside each says its meaning.
 *
 * @module
 */
const PATHS = {
  runs: "M3 17l5-6 4 3 6-8 3 4",
  models: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
  playground: "M4 5h16v11H9l-5 4zM8 9h8M8 12h5",
  data:
    "M4 6c0-1.7 3.6-3 8-3s8 1.3 8 3-3.6 3-8 3-8-1.3-8-3zM4 6v12c0 1.7 3.6 3 8 3s8-1.3 8-3V6M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3",
  evaluations: "M4 4h16v16H4zM4 12h16M12 4v16",
  compare: "M5 20V10M12 20V4M19 20v-7",
  plus: "M12 5v14M5 12h14",
  stop: "M7 7h10v10H7z",
  play: "M8 5l11 7-11 7z",
  retry: "M20 11a8 8 0 10-2 6M20 5v6h-6",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  check: "M5 12l5 5 9-10",
  warning: "M12 4l9 16H3zM12 10v4M12 17v.1",
  sun:
    "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M19 5l-1.4 1.4M6.4 17.6L5 19",
  moon: "M20 14A8 8 0 0110 4a8 8 0 1010 10z",
  auto: "M12 3a9 9 0 100 18 9 9 0 000-18zM12 3v18M12 7h6M12 11h9M12 15h8",
  next: "M9 5l7 7-7 7",
  close: "M6 6l12 12M18 6L6 18",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  search: "M11 4a7 7 0 100 14 7 7 0 000-14zM16 16l5 5",
  key: "M15 4a5 5 0 11-4.6 7L3 18v3h4v-3h3v-3l1.7-1.3A5 5 0 0115 4zM16 8v.1",
} as const;

/** The names of the icons. */
export type IconName = keyof typeof PATHS;

/** An icon as high as the text. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
