import { describe, expect, test } from "vitest";
import { countSql, fileSql, listingSearch, listSql, listUrl, PAGE, plainList, readCounts, readFound, readListing, readRow, searchSql, SORTS, type Listing } from "../src/many/listing";

const NOW = Date.UTC(2026, 10, 28, 12);

describe("addresses", () => {
  test("a listing survives the address bar", () => {
    const listing: Listing = { filters: { project: "a & b", verdict: "partial", machine_type: "n2" }, span: { from: 1, to: 9 }, sort: "share", up: true, hour: 167, ahead: -90, cursor: null, page: 3 };
    expect(readListing(listingSearch("?theme=dark&cursor=x", listing))).toEqual(listing);
    expect(listingSearch("?theme=dark&page=3", readListing(""))).toBe("?theme=dark");
  });
  test.each(["?sort=constructor", "?hour=168", "?hour=-1", "?page=-1", "?page=1e9", "?tz=5000", "?order=sideways", "?project=+", "?from=9&to=1"])("%s is as usual", (search) => expect(readListing(search)).toEqual(readListing("")));
});

describe("questions", () => {
  test("the archive's own list where it is enough, SQL for all else", () => {
    for (const search of ["", "?status=running", "?source=gitlab", "?cursor=x"]) expect(plainList(readListing(search)), search).toBe(true);
    for (const search of ["?status=failed", "?range=7d", "?project=a", "?verdict=partial", "?hour=3", "?sort=memory", "?order=up", "?region=eu"]) expect(plainList(readListing(search)), search).toBe(false);
    expect(listUrl(readListing("?source=git%26lab&cursor=a%2Bb"))).toBe(`/api/v1/jobs?limit=${PAGE}&source=git%26lab&cursor=a%2Bb`);
  });
  test("filters, time, hour, order and page", () => {
    const sql = listSql(readListing("?project=a&ref=b&range=24h&hour=38&tz=60&sort=share&page=2"), NOW);
    expect(sql).toContain(" where finished_at >= to_timestamp_millis(1795784400000) and finished_at < to_timestamp_millis(1795867200000) and project = 'a' and \"ref\" = 'b' and (cast(started_at as bigint) / 1000 + 262800000) / 3600000 % 168 = 38");
    expect(sql.endsWith(`order by 1.0 * memory_used_bytes_max / memory_total_bytes desc nulls last, source, job_id limit ${PAGE + 1} offset ${2 * PAGE}`)).toBe(true);
    expect(fileSql(readListing("?sort=memory&order=up"), NOW)).toMatch(/ from job_metrics order by memory_used_bytes_max asc nulls last, source, job_id limit 100000$/);
    expect(new Set(Object.values(SORTS)).size).toBe(5);
  });
  test("no text leaves its quotes", () => {
    const evil = "x' or 1=1; drop table jobs --";
    for (const sql of [listSql(readListing(`?project=${encodeURIComponent(evil)}`), NOW), countSql(readListing(`?name=${encodeURIComponent(evil)}`), NOW), searchSql(evil, null, NOW)]) {
      expect(sql).toContain("'x'' or 1=1; drop table jobs --'");
      // Without its literals nothing of the text is left.
      expect(sql.replace(/'(?:[^']|'')*'/g, "")).not.toContain("drop");
    }
  });
  test("counts leave out the chosen status and verdict, and nothing else", () => {
    const sql = countSql(readListing("?status=failed&verdict=partial&project=a"), NOW);
    expect(sql).toBe("select status, verdict, count(*) as jobs from job_metrics where project = 'a' group by status, verdict");
  });
  test("a number is looked for as a job id as well", () => {
    expect(searchSql("42", null, NOW)).toContain("job_id = '42'");
    expect(searchSql("4x", null, NOW)).not.toContain("job_id");
  });
});

describe("answers", () => {
  const rows = [{ status: "success", verdict: "complete", jobs: 90 }, { status: "failed", verdict: "complete", jobs: "8" }, { status: "failed", verdict: "partial", jobs: 2 }, { status: null, verdict: null, jobs: 1 }, { status: "x", verdict: "y", jobs: "z" }];
  test("each status is counted among the chosen verdict, and the other way round", () => {
    const counts = readCounts(rows, { status: "failed" });
    expect([counts.all, [...counts.status], [...counts.verdict]]).toEqual([10, [["success", 90], ["failed", 10]], [["complete", 8], ["partial", 2]]]);
    expect(readCounts(rows, {}).all).toBe(101);
    expect([...readCounts(rows, { verdict: "partial" }).status]).toEqual([["failed", 2]]);
  });
  test("a row of SQL is a job of the list; integers may come as text", () => {
    const job = readRow({ source: "gitlab", job_id: "7", status: "failed", verdict: "partial", project: "a", ref: "main", started_at: "1970-01-01T00:00:01Z", finished_at: "1970-01-01T00:00:02.000Z", machine: "m", cpu_count: 4, memory_total_bytes: "8", memory_used_bytes_max: 6, cpu_used_cores_mean: null });
    expect([job.source, job.jobId, job.state, job.start, job.end, job.machine.memoryTotal, job.summary.get("memory_used_bytes")?.max, job.summary.get("cpu_used_cores")?.mean]).toEqual(["gitlab", "7", "archived", 1000, 2000, 8, 6, null]);
    expect(readRow({}).jobId).toBe("");
  });
  test("what was found must be something that a filter or a link can be made of", () =>
    expect(readFound([{ field: "project", key: "a", jobs: "3" }, { field: "sha", key: "x" }, { field: "job", key: "7" }, { field: "name", key: null }, { field: "job", key: "7", source: "gitlab", jobs: 1 }])).toEqual([
      { field: "project", key: "a", source: null, jobs: 3 }, { field: "job", key: "7", source: "gitlab", jobs: 1 },
    ]));
});
