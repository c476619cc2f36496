import { describe, expect, it } from 'vitest';
import { parseConfigText } from '../../config/load.ts';
import { parseStudy, planStudy, studyFolders, type PlannedRun } from './plan.ts';

const TEXT = `
settings:
  data: { longTail: { ratio: 100 } }
  training: { epochs: 4 }
rows:
  - { name: over-sampling, settings: { method: oversample } }
  - { name: long, settings: { method: erm, training: { epochs: 9 } } }
seeds: [1, { seed: 2, settings: { data: { longTail: { seed: 1 } } } }]
out: out
`;

function plan(text: string): PlannedRun[] {
  const source = parseConfigText(text, 'study.yaml');
  return planStudy(parseStudy(source), source, '/base');
}

describe('planStudy', () => {
  it('is every row with every seed, pair by pair; row and seed lie on top of what is shared', () => {
    const runs = plan(TEXT);
    expect(runs.map(({ row, pair, seed }) => [row, pair, seed])).toEqual([
      ['over-sampling', 0, 1],
      ['long', 0, 1],
      ['over-sampling', 1, 2],
      ['long', 1, 2],
    ]);
    expect(runs.map(({ config }) => config.training.epochs)).toEqual([4, 9, 4, 9]);
    expect(runs.map(({ config }) => config.data.longTail!.seed)).toEqual([0, 0, 1, 1]);
    expect(runs.map(({ config }) => config.seed)).toEqual([1, 1, 2, 2]);
  });

  it('holds development images out, whatever it scores on, so that both kinds train on the same', () => {
    const [development] = plan(TEXT);
    const [test] = plan(`${TEXT}split: test\n`);
    expect(development!.config.data).toMatchObject({
      evaluation: 'development',
      development: { from: 'unused' },
    });
    expect(test!.config.data).toEqual({ ...development!.config.data, evaluation: 'test' });
  });

  it.each([
    [TEXT.replace('epochs: 9', 'epochs: 0'), 'study.yaml:7: training.epochs is 0'],
    [TEXT.replace('epochs: 4', 'epochs: x'), "study.yaml:4: training.epochs is 'x'"],
    [TEXT.replace('seed: 1 } }', 'sede: 1 } }'), 'study.yaml:8: unknown field data.longTail.sede'],
    [TEXT.replace('name: long', 'name: over-sampling'), 'study.yaml:7: rows[1].name is'],
    [TEXT.replace('name: long', 'name: ../long'), "rows[1].name is '../long'; it must be 1 to 61 letters"],
    [TEXT.replace('name: long', `name: ${'long '.repeat(13)}`), 'it must be 1 to 61 letters'],
    [
      `${TEXT}worth: { over-sampling: 0, nobody: 5 }\n`,
      'worth.nobody is 5; its name must be that of a row (over-sampling, long)',
    ],
    [
      `${TEXT}worth: { over-sampling: 5, long: 5 }\n`,
      'worth is {"over-sampling":5,"long":5}; two rows have as many images',
    ],
    [
      `${TEXT}reference: nobody\n`,
      "reference is 'nobody'; it must be the name of a row (over-sampling, long)",
    ],
    [TEXT.replace('method: erm', 'seed: 3'), 'the study chooses seed itself'],
    [
      TEXT.replace('method: erm', 'data: { evaluation: test }'),
      "data.evaluation is the study's own field 'split'",
    ],
  ])('%# names the line of what is wrong', (text, message) => {
    expect(() => plan(text)).toThrow(message);
  });

  it('keeps runs inside its folder, or where they are shared', () => {
    const study = parseStudy(parseConfigText(TEXT, 'study.yaml'));
    expect(studyFolders(study, '/base')).toEqual({ out: '/base/out', runs: '/base/out/runs' });
    expect(studyFolders({ ...study, runs: 'kept' }, '/base').runs).toBe('/base/kept');
  });
});
