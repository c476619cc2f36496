/**
 * `node --import ./scripts/compile-bundle.mjs PROGRAM`: when the program ends, saves what V8 compiled of the bundles that it used,
 * for the processes to come.
 */
import { saveCompiled } from '../dist/common/bundle-loader.js';

process.on('exit', saveCompiled);
