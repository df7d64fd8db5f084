// Words and numbers in the reader's language.
import en from "./messages.en.json" with { type: "json" };
import es from "./messages.es.json" with { type: "json" };
import fr from "./messages.fr.json" with { type: "json" };
import it from "./messages.it.json" with { type: "json" };

export const PANEL_WORDS = { en, es, fr, it };

/** The language whose words are there for a locale (BCP 47), else English. */
export function languageOf(locale) {
  const language = String(locale ?? "").replace("_", "-").split("-")[0].toLowerCase();
  return Object.hasOwn(PANEL_WORDS, language) ? language : "en";
}

/** The locale as `Intl` takes it (`en_US` is written en-US), where its language's words are there; else the language alone. */
export function localeOf(locale) {
  const language = languageOf(locale);
  try {
    const [found] = Intl.getCanonicalLocales(String(locale ?? "").replaceAll("_", "-"));
    return found.split("-")[0] === language ? found : language;
  } catch {
    // A RangeError: no language tag.
    return language;
  }
}

/** A function from key and values to words. */
export function speaking(words, language) {
  return (key, values = {}) => (words[language][key] ?? words.en[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// The calling codes of one and two digits (ITU-T E.164); every other one has three.
const CODE = "[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]";

/** A number as people read it out: `+1 425 555 0102`. */
export function grouped(number) {
  const american = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number);
  if (american) return `+1 ${american.slice(1).join(" ")}`;
  const other = new RegExp(`^\\+(${CODE}|\\d{3})(\\d+)$`).exec(number);
  return other ? `+${other[1]} ${other[2].replace(/(\d{3})(?=\d{2})/g, "$1 ")}` : number;
}

/** `14:57`, in the reader's zone. */
export function clockTime(moment, locale) {
  return new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" }).format(moment);
}

/** "in 52 minutes", "3 hours ago": from `now` to `moment`, both in milliseconds. */
export function apart(moment, now, locale) {
  const minutes = Math.round((moment - now) / 60000);
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "long" });
  if (Math.abs(minutes) < 90) return relative.format(minutes, "minute");
  const hours = Math.round(minutes / 60);
  return Math.abs(hours) < 48 ? relative.format(hours, "hour") : relative.format(Math.round(hours / 24), "day");
}

/** "12 m". */
export function metres(count, locale) {
  return new Intl.NumberFormat(locale, { style: "unit", unit: "meter", maximumFractionDigits: 0 }).format(count);
}
