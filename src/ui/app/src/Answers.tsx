// The three questions of a red job and their answers, one card each.
import type { Answer, Part } from "./facts";
import type { Placed } from "./sections";

interface Props {
  answers: readonly Answer[];
  /** Shows a section in the graphs; absent if there are none. */
  open: ((section: Placed) => void) | null;
}

function Word({ part, open }: { part: Part } & Pick<Props, "open">) {
  if (part.kind === "text") return <>{part.text}</>;
  if (part.kind === "value") return <b>{part.text}</b>;
  const name = <code class="foreign">{part.text}</code>;
  return open === null ? name : <button type="button" class="link" title="Zoom the graphs to this section" onClick={() => open(part.section)}>{name}</button>;
}

export function Answers({ answers, open }: Props) {
  if (answers.length === 0) return null;
  return (
    <section class="answers" id="facts" aria-label="In short">
      {answers.map(({ question, head, alarm, share, sentences }) => (
        <div key={question}>
          <h2>{question}</h2>
          {head !== null && <p class={alarm ? "head alarm" : "head"}>{head}</p>}
          {share !== null && (
            <i class="bar" aria-hidden="true">
              <i style={{ width: `${Math.min(100, Math.max(0, share * 100))}%` }} />
            </i>
          )}
          {sentences.map((parts, index) => <p key={index}>{parts.map((part, at) => <Word key={at} part={part} open={open} />)}{" "}</p>)}
        </div>
      ))}
    </section>
  );
}
