import { actor, start } from 'ballast/actors';
const Greeter = actor(import.meta, class Greeter {
  greet(name) { return `Hello, ${name}!`; }
});
const ballast = await start();
const greeter = await ballast.spawn(Greeter);
console.log(await greeter.greet('world'));
await ballast.close();
