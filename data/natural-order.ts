/** Order of names as people count: digits compare as numbers ('2' before '10'), the rest by code unit; no locale. */
export function compareNames(a: string, b: string): number {
  const partsA = a.split(/(\d+)/);
  const partsB = b.split(/(\d+)/);
  for (let i = 0; i < Math.min(partsA.length, partsB.length); i++) {
    const partA = partsA[i]!;
    const partB = partsB[i]!;
    // Odd parts are the digits. Equal numbers with different spelling (2, 02) are distinguished at the end.
    if (i % 2 === 1 && Number(partA) !== Number(partB)) return Number(partA) - Number(partB);
    if (i % 2 === 0 && partA !== partB) return partA < partB ? -1 : 1;
  }
  if (partsA.length !== partsB.length) return partsA.length - partsB.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
