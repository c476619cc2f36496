/**
 * Which workers have credit left: names of living workers, sorted, at the number of unfinished shards that they hold.
 * Workers without credit are not in it. Pure: each function returns another room.
 */

export type WorkerRoom = readonly (readonly string[])[];

/** A room without workers, each of which may hold this many unfinished shards. */
export function emptyRoom(creditsPerWorker: number): WorkerRoom {
  return new Array<readonly string[]>(creditsPerWorker).fill([]);
}

/** The worker with the fewest unfinished shards, the first by name among equals; undefined when none has credit. */
export function leastLoaded(room: WorkerRoom): string | undefined {
  return room.find((names) => names.length > 0)?.[0];
}

/** With a worker that holds nothing. */
export function addWorker(room: WorkerRoom, worker: string): WorkerRoom {
  return room.map((names, held) => (held === 0 ? including(names, worker) : names));
}

export function removeWorker(room: WorkerRoom, worker: string): WorkerRoom {
  return room.map((names) => without(names, worker));
}

/** With a living worker that holds one shard more (1) or less (−1). */
export function changeLoad(room: WorkerRoom, worker: string, by: 1 | -1): WorkerRoom {
  const found = room.findIndex((names) => names[place(names, worker)] === worker);
  const held = found < 0 ? room.length : found; // without credit
  return room.map((names, load) => {
    if (load === held) return without(names, worker);
    return load === held + by ? including(names, worker) : names;
  });
}

/** Where a name is, or would be, among sorted names. */
function place(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (names[middle]! < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

function including(names: readonly string[], name: string): readonly string[] {
  return names.toSpliced(place(names, name), 0, name);
}

function without(names: readonly string[], name: string): readonly string[] {
  const index = place(names, name);
  return names[index] === name ? names.toSpliced(index, 1) : names;
}
