/**
 * The way on from a server that has nothing to show yet.
 *
 * @module
 */
import { Icon } from "../components/icon.tsx";
import { href } from "../route.ts";

/** A link to a new run on the sample that comes with Graft. */
export function TrainOnSample() {
  return (
    <p>
      <a class="button primary" href={href(["new"], { dataset: "sample", name: "titles" })}>
        <Icon name="play" />
        <span>Train on the sample</span>
      </a>
    </p>
  );
}
