"""Trains a classifier on a Ballast coordinator and looks at what it made, cell by cell.

    BALLAST_SERVER=127.0.0.1:4800 python walkthrough.py run.json photos
"""

# %% Connect
import json
import pathlib
import sys

from ballast import BallastError, Client

config_file, run_id = sys.argv[1:3]
client = Client()

# %% Create a run; its paths are the server's
run = client.create_run(json.loads(pathlib.Path(config_file).read_text()), run_id=run_id, labels={"from": "walkthrough"})
print(run.name, "of", run.epochs, "epochs")

# %% Watch it to its end
for event in client.watch(run):
    if event.HasField("quota_decided"):
        print("epoch", event.quota_decided.epoch, "asks for", list(event.quota_decided.quota))
    if event.HasField("epoch_finished"):
        epoch = event.epoch_finished.epoch
        print(epoch.name, f"loss {epoch.train_loss:.3f}, balanced accuracy {epoch.validation.balanced_accuracy:.3f}")
run = client.get_run(run)
if run.end_time.seconds and run.weights_digest == "":
    sys.exit(f"{run.name} has no model: {run.reason}")

# %% The images that it made of its last epoch, into numpy
images = client.images(run, epoch=run.epoch)
print("images", images.shape, images.dtype, f"mean {images.mean():.1f}")

# %% New ones of one class, from the trained classifier
fresh = client.synthesize(run, run.classes[0], count=4, seed=7)
print("fresh", fresh.shape)

# %% Predictions into pandas: the surest mistakes first
try:
    table = client.predictions(run, split="test")
    print(table.head())
except BallastError as error:
    print(error.reason)

# %% The model, and the best runs of all
print("model", len(client.model(run)), "bytes")
for one in client.list_runs("state = SUCCEEDED", order_by="test.balanced_accuracy desc", fields=["name", "test"]):
    print(one.name, f"{one.test.balanced_accuracy:.3f}")
client.close()
