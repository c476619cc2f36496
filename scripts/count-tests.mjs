// Sums vitest's JSON reports into one line: `N passed, N failed`, with `, N skipped` if there are any. A missing
// report, a file that failed outside its tests and a run that failed outside its files count as one failure each.
import { readFileSync } from 'node:fs';

const total = { passed: 0, failed: 0, skipped: 0 };

for (const path of process.argv.slice(2)) {
  const report = read(path);
  if (report === null) {
    console.error(`${path}: no report, so these tests did not run`);
    total.failed += 1;
    continue;
  }
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && assertionResults.every((test) => test.status !== 'failed'),
  );
  const failed = report.numFailedTests + brokenFiles.length;
  total.passed += report.numPassedTests;
  total.failed += failed === 0 && !report.success ? 1 : failed;
  total.skipped += report.numPendingTests + report.numTodoTests;
}

const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
process.exitCode = total.failed > 0 ? 1 : 0;

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}
