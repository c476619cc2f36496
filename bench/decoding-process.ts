/** A process of data.ts: `FOLDER SIZE` loads the folder as a run does, and prints seconds, images and peak memory as JSON. */
import { dataConfigSchema } from '../config/data-config.ts';
import { loadDataset } from '../data/dataset.ts';

const [source = '', size = ''] = process.argv.slice(2);
const validation = { from: 'none' };
const config = dataConfigSchema.parse({ source, imageSize: Number(size), validation });
const start = performance.now();
const { train } = await loadDataset(config);
const seconds = (performance.now() - start) / 1000;
const peakBytes = process.resourceUsage().maxRSS * 1024;
process.stdout.write(JSON.stringify({ seconds, images: train.labels.length, peakBytes }));
