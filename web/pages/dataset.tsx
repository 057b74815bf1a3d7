/**
 * One data set, with its audit.
 *
 * @module
 */
import { useState } from "preact/hooks";
import { answered, client } from "../api.ts";
import { useQuery } from "../use_query.ts";
import { Audit } from "../components/audit.tsx";
import { Button, Confirm, Failure, Heading, Loading } from "../components/basics.tsx";
import { Icon } from "../components/icon.tsx";
import { Notes, sizes } from "../components/dataset.tsx";
import { go, href } from "../route.ts";

const SAMPLE = "sample";

/** The view of one data set. */
export function DatasetPage({ name }: { name: string }) {
  const { data, error, reload } = useQuery(
    (signal) => answered(client.GET("/v1/datasets/{name}", { params: { path: { name } }, signal })),
    [name],
  );
  const [isDeleting, setIsDeleting] = useState(false);
  if (data === undefined) {
    return (
      <>
        <Heading title={<bdi>{name}</bdi>} back={{ href: href(["data"]), name: "Data" }} />
        {error === undefined ? <Loading rows={8} /> : <Failure error={error} retry={reload} />}
      </>
    );
  }
  return (
    <>
      <Heading
        title={<bdi>{name}</bdi>}
        note={`${sizes(data)}. ${data.leakage}`}
        back={{ href: href(["data"]), name: "Data" }}
      >
        <a class="button primary" href={href(["new"], { dataset: name })}>
          <Icon name="play" />
          <span>Train on it</span>
        </a>
        {name !== SAMPLE && (
          <Button kind="quiet" icon="trash" onClick={() => setIsDeleting(true)}>Delete</Button>
        )}
      </Heading>
      <Notes notes={data.notes} />
      <Audit report={data.audit} />
      {isDeleting && (
        <Confirm
          title={`Delete ${name}?`}
          action="Delete the data set"
          onClose={() => setIsDeleting(false)}
          onConfirm={async () => {
            await answered(client.DELETE("/v1/datasets/{name}", { params: { path: { name } } }));
            go(["data"]);
          }}
        >
          <p>Its files go. Models that were trained on it stay.</p>
        </Confirm>
      )}
    </>
  );
}
