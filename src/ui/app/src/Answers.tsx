// The three questions of a red job and their answers, one card each.
import type { Answer, Part } from "./facts";

function Words({ parts }: { parts: readonly Part[] }) {
  return <>{parts.map((part, at) => (part.kind === "value" ? <b key={at}>{part.text}</b> : part.kind === "name" ? <code key={at} class="foreign">{part.text}</code> : part.text))}</>;
}

export function Answers({ answers }: { answers: readonly Answer[] }) {
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
          {sentences.map((parts, index) => <p key={index}><Words parts={parts} />{" "}</p>)}
        </div>
      ))}
    </section>
  );
}
