/** Images of each class as they were made, epoch by epoch, beside real ones and the nearest training image of each. */
import { decimal, plural } from '../../../report/format.ts';
import type { GridCell, GridFrame } from '../../model/run-model.ts';
import { h, labelled, replace, section, setText } from '../dom.ts';
import type { RunStore } from '../run-store.ts';
import type { Source } from '../source.ts';
import type { View } from './view.ts';

const SHOWN_CLASSES = 20;
const CELL_PX = 64;

export function imagesView(store: RunStore, source: Source, id: string): View {
  const { element, slider, output, filter, withNearest, nearestField, note, holder } = imageSection();
  const framesOf = frameReader(store, source, id);
  const state = { isFollowing: true, asked: -1, drawn: '' };
  const draw = async () => {
    const { grids, facts } = store;
    const epoch = grids[Number(slider.value)];
    if (epoch === undefined || facts === null) return;
    setText(output, String(epoch));
    state.asked = epoch;
    const [frame, realFrame] = await framesOf(epoch);
    if (state.asked !== epoch) return; // another was chosen meanwhile
    nearestField.hidden = frame?.nearest == null;
    const options = { realFrame, name: filter.value, nearest: withNearest.checked };
    const key = [epoch, options.name, options.nearest, facts.classes.length].join(' ');
    if (key === state.drawn) return;
    state.drawn = key;
    const content = framed(store, frame, epoch, options);
    setText(note, content.note);
    replace(holder, ...content.parts);
  };
  const redraw = () => void draw();
  slider.addEventListener('input', () => {
    state.isFollowing = Number(slider.value) === store.grids.length - 1;
    redraw();
  });
  filter.addEventListener('input', redraw);
  withNearest.addEventListener('change', redraw);
  return {
    element,
    reads: ['facts', 'epochs'],
    update() {
      element.hidden = store.grids.length === 0;
      offerEpochs(slider, store.grids, state.isFollowing);
      redraw();
    },
  };
}

/** The section without images, and its fields. */
function imageSection() {
  const slider = h('input', { type: 'range', min: 0, step: 1, value: 0 });
  const output = h('output');
  const filter = h('input', { type: 'search', placeholder: 'name of a class' });
  const withNearest = h('input', { type: 'checkbox', checked: true });
  const nearestText = h('span', {}, 'nearest training images');
  const nearestField = h('label', { class: 'field inline' }, withNearest, nearestText);
  const holder = h('div', { class: 'galleries' });
  const note = h('p', { class: 'note' });
  const element = section(
    'images',
    'Images',
    'Images that the diffusion model made for each class. Use the arrow keys on the slider to go through the epochs.',
    h('div', { class: 'bar' }, labelled('Epoch', slider), output, labelled('Class', filter), nearestField),
    note,
    holder,
  );
  return { element, slider, output, filter, withNearest, nearestField, note, holder };
}

/** Reads the images of an epoch and, once, the real ones; null for those that are not there. */
function frameReader(store: RunStore, source: Source, id: string) {
  let real: Promise<GridFrame | null> | null = null;
  return (epoch: number): Promise<readonly [GridFrame | null, GridFrame | null]> => {
    if (store.facts?.hasRealImages) real ??= source.realImages(id).catch(() => null);
    return Promise.all([source.frame(id, epoch).catch(() => null), real]);
  };
}

/** Lets `slider` choose among `grids`, the epochs with images; it stays at the last one while `isFollowing`. */
function offerEpochs(slider: HTMLInputElement, grids: readonly number[], isFollowing: boolean): void {
  slider.max = String(Math.max(0, grids.length - 1));
  if (isFollowing) slider.value = slider.max;
  slider.setAttribute('aria-valuetext', `epoch ${grids[Number(slider.value)] ?? ''}`);
}

interface FrameOptions {
  readonly realFrame: GridFrame | null;
  /** Part of the names of the classes wanted. */
  readonly name: string;
  /** Whether each image has its nearest training image beside it. */
  readonly nearest: boolean;
}

/** An epoch's images, and what is said above them. */
function framed(
  store: RunStore,
  frame: GridFrame | null,
  epoch: number,
  { realFrame, name, nearest }: FrameOptions,
): { readonly note: string; readonly parts: readonly HTMLElement[] } {
  if (frame?.source == null)
    return { note: '', parts: [h('p', { class: 'note' }, `The picture of epoch ${epoch} is not here.`)] };
  if (frame.index === null) {
    const alt = `Synthetic images of epoch ${epoch}, a row a class`;
    return { note: '', parts: [h('img', { src: frame.source, alt, class: 'whole' })] };
  }
  const wanted = name.toLowerCase();
  const matching = classesBySize(store).filter((index) =>
    (store.facts?.classes[index] ?? '').toLowerCase().includes(wanted),
  );
  const note = `The ${SHOWN_CLASSES} smallest of ${plural(matching.length, 'class')}; filter by name for others.`;
  const shown = matching.slice(0, SHOWN_CLASSES);
  return {
    note: matching.length > SHOWN_CLASSES ? note : '',
    parts: shown.map((index) => gallery(store, index, frame, realFrame, nearest)),
  };
}

/** The smallest class first: those are the ones that images are made for. */
function classesBySize({ facts }: RunStore): number[] {
  const counts = facts?.classCounts ?? [];
  return (facts?.classes ?? [])
    .map((_, index) => index)
    .sort((a, b) => (counts[a] ?? 0) - (counts[b] ?? 0) || a - b);
}

function gallery(
  store: RunStore,
  index: number,
  frame: GridFrame,
  real: GridFrame | null,
  withNearest: boolean,
): HTMLElement {
  const { facts } = store;
  const name = facts?.classes[index] ?? '?';
  const made = (frame.index?.images ?? []).filter(({ classIndex }) => classIndex === index);
  const title = h('h3', {}, name, h('span', { class: 'note' }, ` ${facts?.classCounts[index] ?? '–'} real`));
  if (made.length === 0)
    return h('div', { class: 'gallery' }, title, h('p', { class: 'note' }, 'No images in this epoch.'));
  const rows = [
    row(
      'made',
      made.map((cell) => picture(frame, frame.source!, cell, `${name}, synthetic`)),
    ),
  ];
  if (withNearest && frame.nearest !== null)
    rows.push(
      row(
        'nearest',
        made.map((cell) => picture(frame, frame.nearest!, cell, nearestText(cell, facts?.classes ?? []))),
      ),
    );
  const known =
    real?.source == null ? [] : (real.index?.images ?? []).filter(({ classIndex }) => classIndex === index);
  if (known.length > 0)
    rows.push(
      row(
        'real',
        known.map((cell) => picture(real!, real!.source!, cell, `${name}, real`)),
      ),
    );
  return h('div', { class: 'gallery' }, title, ...rows);
}

function nearestText({ nearest }: GridCell, classes: readonly string[]): string {
  if (nearest === undefined) return 'nearest training image';
  const { classIndex, image, distance } = nearest;
  return `nearest training image: ${image ?? ''} (${classes[classIndex] ?? '?'}), distance ${decimal(distance)}`;
}

function row(label: string, pictures: readonly HTMLElement[]): HTMLElement {
  return h(
    'div',
    { class: 'strip' },
    h('span', { class: 'note' }, label),
    h('div', { class: 'cells', tabindex: 0, role: 'group', 'aria-label': label }, ...pictures),
  );
}

/** One image cut out of the picture of all, in whole screen pixels a pixel. */
function picture({ index }: GridFrame, source: string, cell: GridCell, text: string): HTMLElement {
  const { width, height, scale } = index!;
  const factor = CELL_PX / (height * scale);
  const element = h('span', { class: 'cell', role: 'img', 'aria-label': text, title: text });
  element.style.width = `${width * scale * factor}px`;
  element.style.height = `${CELL_PX}px`;
  const image = h('img', { src: source, alt: '', decoding: 'async' });
  image.style.transform = `scale(${factor}) translate(${-cell.left}px, ${-cell.top}px)`;
  element.append(image);
  return element;
}
