import { describe, expect, test } from "vitest";
import { byteRate, bytes, clock, coreNumber, cores, count, dateTime, duration, offset, percent, seconds } from "../src/format";

const GIB = 1024 ** 3;

describe("golden values", () => {
  test.each([
    [null, "–"], [NaN, "–"], [Infinity, "–"], [0, "0 B"], [0.4, "0.4 B"], [0.001, "<0.01 B"], [1, "1 B"], [999, "999 B"], [1023, "1023 B"],
    [1023.4, "1023 B"], [1024, "1 KiB"], [1536, "1.5 KiB"], [10_240, "10 KiB"], [1_047_000, "1022 KiB"], [1_048_300, "1 MiB"], [1024 ** 2, "1 MiB"],
    [104_857_600, "100 MiB"], [3.1 * GIB, "3.1 GiB"], [3.14159 * GIB, "3.14 GiB"], [9.999 * GIB, "10 GiB"], [31.44 * GIB, "31.4 GiB"], [8 * GIB, "8 GiB"],
    [99.97 * GIB, "100 GiB"], [314.4 * GIB, "314 GiB"], [1024 ** 4 * 2.5, "2.5 TiB"], [1024 ** 6, "1 EiB"], [1024 ** 7, "1024 EiB"], [-2048, "-2 KiB"],
  ])("bytes(%s) = %s", (value, shown) => expect(bytes(value)).toBe(shown));

  test.each([[null, "–"], [0, "0 B/s"], [1024, "1 KiB/s"], [61 * 1024 ** 2, "61 MiB/s"]])("byteRate(%s) = %s", (value, shown) =>
    expect(byteRate(value)).toBe(shown));

  test.each([[null, "–"], [0, "0 cores"], [0.001, "<0.01 cores"], [0.5, "0.5 cores"], [1, "1 core"], [1.934, "1.93 cores"], [4, "4 cores"], [12.34, "12.3 cores"], [128, "128 cores"]])(
    "cores(%s) = %s", (value, shown) => expect(cores(value)).toBe(shown));
  test("cores on an axis have no word", () => expect(coreNumber(2.5)).toBe("2.5"));

  test.each([[null, "–"], [0, "0 %"], [0.0001, "<0.1 %"], [0.015, "1.5 %"], [0.39, "39 %"], [0.9951, "99.5 %"], [0.9999, ">99.9 %"], [1, "100 %"], [1.2, "120 %"]])(
    "percent(%s) = %s", (value, shown) => expect(percent(value)).toBe(shown));

  test.each([[null, "–"], [0, "0"], [2, "2"], [2.345, "2.35"], [45.67, "45.7"], [1000, "1,000"], [1_234_567, "1,234,567"]])(
    "count(%s) = %s", (value, shown) => expect(count(value)).toBe(shown));

  test.each([[null, "–"], [0, "0 s"], [0.004, "<0.01 s"], [0.4, "0.4 s"], [47.25, "47.3 s"], [1734.2, "1,734 s"]])(
    "seconds(%s) = %s", (value, shown) => expect(seconds(value)).toBe(shown));

  test.each([
    [null, "–"], [0, "0 s"], [400, "0.4 s"], [9_949, "9.9 s"], [9_960, "10 s"], [42_000, "42 s"], [59_600, "1 min"], [60_000, "1 min"],
    [130_000, "2 min 10 s"], [3_599_700, "1 h 00 min"], [11_040_000, "3 h 04 min"], [2 * 86_400_000 + 3 * 3_600_000, "2 d 3 h"], [-5000, "-5 s"],
  ])("duration(%s) = %s", (value, shown) => expect(duration(value)).toBe(shown));

  test.each([
    [0, false, "+00:00"], [999, false, "+00:00"], [1000, false, "+00:01"], [130_000, false, "+02:10"], [3_730_000, false, "+1:02:10"],
    [-5_000, false, "-00:05"], [1_250, true, "+00:01.250"], [2_000, true, "+00:02"], [90_000_000, false, "+25:00:00"], [1_700_001_000, false, "+19d 16:13:21"], [-172_800_000, false, "-2d 00:00:00"],
  ])("offset(%s, %s) = %s", (value, fine, shown) => expect(offset(value, fine)).toBe(shown));

  test("wall clock in UTC", () => {
    const at = Date.UTC(2026, 10, 3, 4, 5, 6, 70);
    expect(clock(at, true)).toBe("04:05:06");
    expect(clock(at, true, true)).toBe("04:05:06.070");
    expect(dateTime(at, true)).toBe("2026-11-03 04:05:06 UTC");
    expect(dateTime(null, true)).toBe("–");
    expect(dateTime(9e15, true)).toContain("–");
  });
});
