import { deepStrictEqual, doesNotMatch, match } from "node:assert";
import { audit } from "../data/preparation/audit.ts";
import { auditPage } from "./audit_page.ts";
import { formatAudit } from "./audit_report.ts";

Deno.test("auditPage() is self-contained and escapes what a data set says", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const evil = '"<script>alert(1)</script> & co",<b>x</b>\nplain,y\n';
    for (const side of ["train", "val", "test"]) {
      const repeated = side === "train" ? '"<script>alert(1)</script> & co",y\n' : "";
      await Deno.writeTextFile(`${dir}/${side}_simple.csv`, `text,label\n${evil}${repeated}`);
    }
    const report = await audit(dir, {
      wordPieceCounter: () => () => 1,
    });
    const page = await auditPage(report);
    doesNotMatch(page, /<script|<b>x|https?:|NaN|undefined/);
    match(page, /&lt;script>alert\(1\)&lt;\/script> &amp; co/);
    match(page, /2 of 2 test texts \(100\.0 %\)/);
    deepStrictEqual(page.match(/<section class="audit-section">/g)?.length, 6);
    match(formatAudit(report), /seen in train +│ +│ 2 \(100\.0 %\) │ 2 \(100\.0 %\) │/);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
