import { actor, start } from 'ballast/actors';

class Ledger {
  entries = new Map();
  enter(name, amount) {
    this.entries.set(name, amount);
    return process.pid;
  }
  read() {
    return this.entries;
  }
  // The result is stored after each call, before the caller gets the answer; `restore` receives it after a restart.
  snapshot() {
    return this.entries;
  }
  restore(entries) {
    this.entries = entries;
  }
}
actor(import.meta, Ledger, { idempotent: ['read'] }); // `read` may run twice, so it is repeated when the actor dies

const ballast = await start();
const ledger = await ballast.spawn(Ledger);
const pid = await ledger.enter('rent', 700n);
process.kill(pid, 'SIGKILL');
console.log('kept', (await ledger.read()).get('rent'));
await ballast.close();
