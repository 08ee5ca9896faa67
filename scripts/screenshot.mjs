// screenshot.mjs URL OUT [dark]: a picture of a page of a running console, once its panels show something.
import { createRequire } from "node:module";
const require = createRequire(new URL("../ui/package.json", import.meta.url));
const { chromium } = require("playwright-core");

const [url, out, scheme] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({
    viewport: { width: 1440, height: 900 },
    colorScheme: scheme === "dark" ? "dark" : "light",
  });
  await page.goto(url, { waitUntil: "domcontentloaded" });
  await page.waitForFunction(() => document.querySelectorAll("[data-panel] .value").length >= 4, null, { timeout: 60_000 });
  // The first values are there; the charts are drawn in the frames that follow.
  await page.waitForTimeout(2_000);
  await page.screenshot({ path: out });
} finally {
  await browser.close();
}
