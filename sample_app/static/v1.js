// V1's page: the newest parcels, each with its recipient's one name.
(async () => {
  const list = document.getElementById("parcels");
  const answer = await fetch("/parcels?after=0&limit=20");
  const items = (await answer.json()).data.items;
  for (const parcel of items) {
    const row = document.createElement("li");
    row.textContent = `${parcel.recipient_name.toUpperCase()}, ${parcel.address}`;
    list.append(row);
  }
  document.body.dataset.state = "shown";
})().catch((error) => {
  document.body.dataset.state = `broken: ${error.message}`;
});
